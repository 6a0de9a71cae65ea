/** Which function a call reaches, and which of its versions. That it was reached shows by the load that it asks for. */
import { describe, expect, test } from "vitest";
import { Isolates } from "../cell/isolates.ts";
import { LruKeepAlive } from "../cell/keep-alive.ts";
import { Ledger } from "../cell/ledger.ts";
import { ScriptTable } from "../namespace/script-table.ts";
import type { CalledBy, InvocationFacts } from "../namespace/user-worker.ts";
import { UnavailableError } from "../protocol/dispatch-errors.ts";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";
import type { ScriptState } from "../protocol/routing.ts";
import type { Assets } from "./assets/assets.ts";
import { EdgeCalls } from "./call-edge.ts";
import type { CellCalls } from "./call-cell.ts";
import { IncidentLog } from "./incident-log.ts";
import { Invoker } from "./invoke.ts";

const [OLD, NEW] = [crypto.randomUUID(), crypto.randomUUID()];
const namespace = "workers";
const script = "shop";

function state(more: Partial<ScriptState> = {}): ScriptState {
  const place = { kind: "edge" as const, why: "", refusedUntilMs: 0 };
  const { defaults: limits } = DEFAULT_PLATFORM_LIMITS;
  return { generation: 1, namespace, script, versionId: OLD, place, limits, ...more };
}

function shares(percentages: Readonly<Record<string, number>>): Partial<ScriptState> {
  const { place, limits } = state() as Required<ScriptState>;
  return {
    shares: Object.entries(percentages).map(([versionId, percentage]) => {
      return { versionId, place, limits, percentage };
    }),
  };
}

/** Rejects each load with the version that was to be loaded. */
function invokerOf(of: ScriptState, assets?: Pick<Assets, "serve">): Invoker {
  const scripts = new ScriptTable();
  const isolates = new Isolates({
    loader: undefined as unknown as WorkerLoader,
    ledger: new Ledger(),
    keepAlive: new LruKeepAlive(),
    background: undefined,
    outbound: () => null,
  });
  const edges = new EdgeCalls({
    isolates,
    edgeIndex: 0,
    peers: [undefined as unknown as Fetcher],
    incidents: new IncidentLog(),
    load: (_entry, versionId) => Promise.reject(new UnavailableError(versionId)),
    refresh: () => Promise.resolve(),
  });
  return new Invoker({
    scripts,
    isolates,
    assets: assets as Assets,
    edges,
    cells: undefined as unknown as CellCalls,
    edgeCount: 1,
    traces: { ended: () => undefined },
    resolve: () => Promise.resolve(scripts.accept(of).entry),
    ownerOf: () => Promise.resolve(null),
  });
}

const request = (headers: Record<string, string> = {}) =>
  new Request("http://shop.test/", { headers });

async function reached(of: ScriptState, by?: CalledBy, headers?: Record<string, string>) {
  const facts: InvocationFacts = { versionId: "" };
  const call = { script, args: undefined, options: undefined, ...(by && { by }) };
  const message = await invokerOf(of)
    .invoke(namespace, call, request(headers), facts)
    .then(
      () => "answered",
      (error: Error) => error.message,
    );
  return { message, facts };
}

describe("an account Worker", () => {
  const NOT_FOUND = `Worker not found: no script "shop" in dispatch namespace "workers"`;

  test.each([
    ["host", true, OLD],
    ["host", false, NOT_FOUND],
    ["route", true, OLD],
    ["route", false, OLD],
    ["dispatch", true, NOT_FOUND],
    ["dispatch", false, NOT_FOUND],
    // A binding.
    [undefined, false, OLD],
  ] as const)("by %s, with workers_dev %s", async (by, workersDev, expected) => {
    const of = state({ isAccountWorker: true, ...(workersDev ? {} : { workersDev }) });
    expect((await reached(of, by)).message).toBe(expected);
  });

  test("of a dispatch namespace is reached by those who dispatch", async () => {
    expect((await reached(state(), "dispatch")).message).toBe(OLD);
  });
});

describe("of several versions", () => {
  test("the chosen one is called, and told as what answered", async () => {
    const of = state(shares({ [OLD]: 0, [NEW]: 100 }));
    expect(await reached(of, "host")).toEqual({ message: NEW, facts: { versionId: NEW } });
    const override = { "cloudflare-workers-version-overrides": `shop="${OLD}"` };
    expect((await reached(of, "host", override)).facts.versionId).toBe(OLD);
  });

  test("the home edge calls the one that was chosen by another edge", async () => {
    const forwarded = async (of: ScriptState, versionId?: string) => {
      const call = { namespace, script, method: "GET", via: [], args: undefined };
      const facts: InvocationFacts = { versionId: "" };
      await invokerOf(of)
        .invokeForwarded(
          { ...call, options: undefined, ...(versionId && { versionId }) },
          request(),
          facts,
        )
        .catch(() => undefined);
      return facts.versionId;
    };
    const shared = state(shares({ [OLD]: 100, [NEW]: 0 }));
    expect(await forwarded(shared, NEW)).toBe(NEW);
    expect(await forwarded(shared, OLD)).toBe(OLD);
    // Replaced meanwhile.
    expect(await forwarded(state(), NEW)).toBe(OLD);
  });
});

test("a preview is told as its script", async () => {
  const { facts } = await reached(state({ previewOf: "whole-shop" }));
  expect(facts).toEqual({ versionId: OLD, script: "whole-shop" });
});

describe("static assets", () => {
  const assets = {} as NonNullable<ScriptState["assets"]>;
  const answered = (headers: HeadersInit) => ({
    serve: () => Promise.resolve(new Response(null, { status: 404, headers })),
  });

  test("are not what a Tail Worker is called for", async () => {
    const invoker = invokerOf(state({ assets }), answered({}));
    const call = { script, args: undefined, options: undefined };
    const invoke = (more: object) =>
      invoker.invoke(namespace, { ...call, ...more }, request(), { versionId: "" });
    expect((await invoke({})).status).toBe(404);
    await expect(invoke({ event: "tail" })).rejects.toThrow(OLD);
  });

  test("do not pretend to be an error of the platform", async () => {
    const invoker = invokerOf(
      state({ assets }),
      answered({ "x-skep-error": "1101", "x-own": "1" }),
    );
    const call = { script, args: undefined, options: undefined };
    const { headers } = await invoker.invoke(namespace, call, request(), { versionId: "" });
    expect([...headers.keys()]).toEqual(["x-own"]);
  });
});

test.each([
  { cpuMs: -1e9 },
  { cpuMs: Number.NaN },
  { cpuMs: "5" as never },
  { subRequests: -1 },
  { subRequests: "many" as never },
])("a dispatcher cannot make a function's limits into %j", async (limits) => {
  const call = { script, args: undefined, options: { limits } };
  const invoked = invokerOf(state()).invoke(namespace, call, request(), { versionId: "" });
  await expect(invoked).rejects.toThrow(/^limits\.(cpuMs|subRequests) must be a number/);
});

test("names that no script can have are not asked for", async () => {
  const call = { script: "s".repeat(10_000), args: undefined, options: undefined };
  const invoked = invokerOf(state()).invoke(namespace, call, request(), { versionId: "" });
  const error = await invoked.catch((thrown: Error) => thrown);
  expect(error).toMatchObject({
    message: expect.stringMatching(/^Worker not found: .*sss…"/) as string,
  });
  expect((error as Error).message.length).toBeLessThan(500);
});
