import { describe, expect, it } from "vitest";
import { ApiError } from "../errors.ts";
import { parseMetadata, scriptSettings, versionSettings } from "./metadata.ts";

const NOW = new Date("2026-11-23T12:00:00Z");

function errorOf(body: () => unknown): { code: number; message: string } {
  try {
    body();
  } catch (error) {
    if (error instanceof ApiError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("parseMetadata", () => {
  it("ignores keys that it does not know", () => {
    expect(parseMetadata({ main_module: "a", package_dependencies: {} }, "metadata")).toEqual({
      main_module: "a",
    });
  });

  it.each<[string, object]>([
    ["containers", { containers: [{ class_name: "A" }] }],
    ["tail_consumers[0].namespace", { tail_consumers: [{ service: "logs", namespace: "a" }] }],
    ["tail_consumers[0].environment", { tail_consumers: [{ service: "logs", environment: "b" }] }],
    ["streaming_tail_consumers", { streaming_tail_consumers: [{ service: "logs" }] }],
    ["observability.traces", { observability: { enabled: true, traces: { enabled: "true" } } }],
    ["observability.issues", { observability: { issues: { enabled: true } } }],
    ["observability.logs.destinations", { observability: { logs: { destinations: ["a"] } } }],
    ["observability.redact_query_string", { observability: { redact_query_string: true } }],
    ["logpush", { logpush: true }],
    ["cache_options", { cache_options: { enabled: true } }],
    ["placement", { placement: { mode: "targeted", region: "aws:us-east-1" } }],
    ["placement", { placement: { host: "db.example:5432" } }],
  ])("refuses %s by name", (key, metadata) => {
    const { code, message } = errorOf(() => parseMetadata(metadata, "metadata"));
    expect(code).toBe(10021);
    expect(message).toContain(`metadata.${key}:`);
    expect(message).toContain("not supported");
  });

  it.each([{ assets: { jwt: "x" } }, { keep_assets: true }])(
    "refuses %j in settings",
    (metadata) => {
      expect(errorOf(() => parseMetadata(metadata, "settings")).message).toContain(
        "settings.assets:",
      );
      expect(parseMetadata(metadata, "metadata")).toEqual(metadata);
    },
  );

  it("accepts what clients send without meaning it", () => {
    const metadata = parseMetadata(
      {
        migrations: null,
        exports: {},
        assets: undefined,
        keep_assets: false,
        containers: [],
        tail_consumers: [],
        observability: {
          traces: { enabled: false, head_sampling_rate: 1 },
          issues: { enabled: false },
          logs: { destinations: [] },
        },
        logpush: false,
        cache_options: { enabled: false },
        placement: { mode: "smart", hint: "wnam" },
        tags: null,
      },
      "metadata",
    );
    expect(versionSettings(metadata, NOW)).toEqual({ placement: { mode: "smart" } });
  });

  it("names the value that is wrong", () => {
    expect(
      errorOf(() => parseMetadata({ compatibility_flags: ["a", 1] }, "metadata")).message,
    ).toBe("metadata.compatibility_flags[1]: Invalid input: expected string, received number");
    expect(
      errorOf(() => parseMetadata({ observability: { head_sampling_rate: 2 } }, "metadata"))
        .message,
    ).toContain("metadata.observability.head_sampling_rate: ");
  });
});

describe("versionSettings", () => {
  it("reads numbers that the SDK sent as strings", () => {
    const metadata = parseMetadata({ limits: { cpu_ms: "50" } }, "metadata");
    expect(versionSettings(metadata, NOW)).toEqual({ limits: { cpu_ms: 50 } });
  });

  it("takes today as a compatibility date, but not tomorrow", () => {
    const today = parseMetadata({ compatibility_date: "2026-11-23" }, "metadata");
    expect(versionSettings(today, NOW)).toEqual({ compatibilityDate: "2026-11-23" });
    const tomorrow = parseMetadata({ compatibility_date: "2026-11-24" }, "metadata");
    expect(errorOf(() => versionSettings(tomorrow, NOW))).toEqual({
      code: 10021,
      message: "Can't set compatibility date in the future: 2026-11-24",
    });
  });

  it.each(["2026-1-1", "2026-13-01", "yesterday", "20260101"])("refuses the date %s", (date) => {
    const metadata = parseMetadata({ compatibility_date: date }, "metadata");
    expect(errorOf(() => versionSettings(metadata, NOW))).toEqual({
      code: 10021,
      message: `Invalid compatibility date: ${date}`,
    });
  });
});

describe("scriptSettings", () => {
  it("leaves out what was not said, so that tags survive a deploy without them", () => {
    expect(scriptSettings(parseMetadata({ logpush: "false" }, "metadata"))).toEqual({
      logpush: false,
    });
    expect(scriptSettings(parseMetadata({ tags: ["a", "b", "a"] }, "metadata"))).toEqual({
      tags: ["a", "b"],
    });
  });
});
