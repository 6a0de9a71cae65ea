/** Cases: what a script may consist of. */
import { describe, expect, test } from "vitest";
import type { Probe } from "./target.ts";

export function describeModules(probe: () => Probe): void {
  describe("modules and bindings", () => {
    test("modules of every type are imported by their names", async () => {
      expect(await probe().json("modules")).toEqual({
        text: "grüß Gott",
        data: [0, 255, 128],
        sum: 42,
        greeting: "good day! 8",
      });
    });

    test("service-worker syntax finds its bindings among the globals", async () => {
      expect(await probe().json("service-worker")).toEqual({
        GREETING: "hello",
        SETTINGS: { deep: [1, null] },
        sloppy: true,
      });
    });

    test("env holds text and JSON, as an argument and as an import", async () => {
      const env = { TEXT: "text", JSON: { list: [1, "two", { three: null }], on: true } };
      expect(await probe().json("env")).toEqual({ env, imported: env });
    });

    test("an old compatibility date means an old runtime", async () => {
      expect(await probe().text("compatibility-old")).toBe("undefined");
    });

    test("compatibility flags are honoured", async () => {
      expect(await probe().text("compatibility-flag")).toBe("skep");
    });
  });
}
