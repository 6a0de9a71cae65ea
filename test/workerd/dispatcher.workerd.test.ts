/** The dispatcher, unchanged, against the dispatch namespaces and the Durable Object of Miniflare. */
import { env, exports } from "cloudflare:workers";
import { describe, expect, test, vi } from "vitest";
import type { FunctionMetrics } from "../../src/dispatcher/function-metrics.ts";
import type { KindTotals, MetricsTotals } from "../../src/protocol/metrics-report.ts";
import { deploy, remove } from "../../src/testing/scripts/deploy.ts";

interface Env {
  readonly DISPATCHER: DispatchNamespace;
  readonly DISPATCHER_STAGING_EU: DispatchNamespace;
  readonly METRICS: DurableObjectNamespace<FunctionMetrics>;
}

const { DISPATCHER, DISPATCHER_STAGING_EU, METRICS } = env as unknown as Env;
const dispatcher = (exports as { default: Fetcher }).default;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const HELLO = "export default { fetch: () => new Response('hello') }";

async function textAt(url: string): Promise<string> {
  return (await dispatcher.fetch(url)).text();
}

/** Of requests. */
async function totalsOf(name: string): Promise<MetricsTotals> {
  const kinds = (await METRICS.getByName(name).totals()) as unknown as readonly KindTotals[];
  const fetches = kinds.find(({ kind }) => kind === "fetch");
  if (fetches === undefined) throw new Error(`nothing is recorded of ${name} yet`);
  return fetches.totals;
}

describe("routing", () => {
  test("goes by <script>.<namespace>.<base domain>", async () => {
    expect(await textAt("http://greeting.production.skep.test/")).toBe(
      "Greetings from greeting.production.skep.test",
    );
  });

  test("finds the binding of another namespace by its name", async () => {
    await deploy(DISPATCHER_STAGING_EU, "hello", HELLO);
    expect(await textAt("http://hello.staging-eu.skep.test/")).toBe("hello");
    expect((await dispatcher.fetch("http://hello.production.skep.test/")).status).toBe(404);
  });

  test("takes the most specific of the custom routes", async () => {
    expect(await textAt("http://shop.test/")).toBe("shop");
    expect(await textAt("http://shop.test/api/orders")).toBe("api");
    expect((await dispatcher.fetch("http://shop.test/old/orders")).status).toBe(404);
  });

  test.each([
    ["a script that is not there", "http://nobody.production.skep.test/"],
    ["a namespace without a binding", "http://hello.nowhere.skep.test/"],
    ["a foreign host", "http://example.com/"],
  ])("answers 404 for %s", async (_, url) => {
    const answer = await dispatcher.fetch(url);
    expect(answer.status).toBe(404);
    expect(answer.headers.get("x-skep-error")).toBe("1016");
    expect(await answer.json()).toMatchObject({ error: { code: 1016 } });
  });

  test("follows a deploy and a removal at once", async () => {
    await deploy(DISPATCHER, "changing", "export default { fetch: () => new Response('1') }");
    expect(await textAt("http://changing.production.skep.test/")).toBe("1");
    await deploy(DISPATCHER, "changing", "export default { fetch: () => new Response('2') }");
    expect(await textAt("http://changing.production.skep.test/")).toBe("2");
    await remove(DISPATCHER, "changing");
    expect((await dispatcher.fetch("http://changing.production.skep.test/")).status).toBe(404);
  });
});

describe("errors", () => {
  test("an exception is error 1101, as JSON, without what the function said", async () => {
    const answer = await dispatcher.fetch("http://throws.production.skep.test/", {
      headers: { "cf-ray": "0123456789abcdef" },
    });
    expect(answer.status).toBe(500);
    const body = await answer.text();
    expect(JSON.parse(body)).toMatchObject({ error: { code: 1101, ray: "0123456789abcdef" } });
    expect(body).not.toContain("hive");
  });

  test("and as HTML for browsers", async () => {
    const answer = await dispatcher.fetch("http://throws.production.skep.test/", {
      headers: { accept: "text/html,*/*;q=0.8" },
    });
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(await answer.text()).toContain("<h1>Error 1101</h1>");
  });

  test("a function's own 500 passes untouched", async () => {
    const answer = await dispatcher.fetch("http://sick.production.skep.test/");
    expect(answer.status).toBe(500);
    expect(answer.headers.get("x-skep-error")).toBeNull();
    expect(await answer.text()).toBe("I am ill");
  });
});

describe("measuring", () => {
  test("a cold start, and only that, has Server-Timing with its four phases", async () => {
    await deploy(DISPATCHER, "cold", HELLO);
    const cold = await dispatcher.fetch("http://cold.production.skep.test/");
    expect(cold.headers.get("server-timing")).toMatch(
      /^place;dur=\d+, fetch;dur=\d+, load;dur=\d+, first;dur=\d+$/,
    );
    const warm = await dispatcher.fetch("http://cold.production.skep.test/");
    expect(warm.headers.get("server-timing")).toBeNull();
  });

  test("each invocation is recorded in the function's FunctionMetrics object", async () => {
    await deploy(DISPATCHER, "counted", HELLO);
    for (let n = 0; n < 3; n++) await textAt("http://counted.production.skep.test/");
    const once = await textAt("http://throws.production.skep.test/");
    expect(once).toContain("1101");
    await vi.waitFor(async () => {
      const totals = await totalsOf("production/counted");
      expect(totals).toMatchObject({ outcomes: { ok: 3 }, statuses: { "2xx": 3 }, coldStarts: 1 });
      expect(totals.phases.load?.count).toBe(1);
      const range = { sinceMs: Date.now() - 3_600_000, untilMs: Date.now() + 1, stepSeconds: null };
      const { versions } = await METRICS.getByName("production/counted").series(range);
      expect(versions).toMatchObject([{ versionId: expect.stringMatching(UUID) as string }]);
      expect((await totalsOf("production/throws")).outcomes.exception).toBeGreaterThan(0);
    });
  });
});
