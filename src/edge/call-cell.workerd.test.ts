/** Invocations in a real cell, over a connection to which the tests let things happen. */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { ScriptEntry } from "../namespace/script-entry.ts";
import type { DispatchCall, InvocationFacts } from "../namespace/user-worker.ts";
import { limitOf, LostError } from "../protocol/dispatch-errors.ts";
import { CALL_HEADER } from "../protocol/hop.ts";
import type { Incident } from "../protocol/incident.ts";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";
import type { PlaceKind } from "../protocol/placement.ts";
import { CellCalls } from "./call-cell.ts";
import { Cells } from "./cells.ts";
import { Grants } from "../protocol/grants.ts";
import { IncidentLog } from "./incident-log.ts";
import { CellLoader } from "./load-cell.ts";

const { CELL } = env as unknown as { readonly CELL: Fetcher };

const SOURCE = `
  let calls = 0;
  export default {
    async fetch(request, env, ctx) {
      if (request.headers.has("upgrade")) {
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.addEventListener("message", ({ data }) => server.send("got " + data));
        return new Response(null, { status: 101, webSocket: client });
      }
      if (new URL(request.url).pathname === "/throws") throw new TypeError("no honey left");
      const { method, url, headers, cf } = request;
      const seen = { calls: ++calls, method, url, cf: cf ?? null, headers: [...headers.keys()], props: ctx.props };
      return Response.json({ ...seen, body: await request.text() });
    },
  };`;

interface Seen {
  readonly calls: number;
  readonly method: string;
  readonly cf: unknown;
  readonly headers: readonly string[];
  readonly props: unknown;
  readonly body: string;
}

/**
 * What happens to one invocation on the connection. `lost`: the cell dies having run it. `broken`: only the answer
 * breaks off. null: nothing.
 */
type Fate = "lost" | "broken" | "absent" | "evicted" | null;

interface SetUp {
  readonly source?: string;
  /** Of the first invocations; later ones arrive. */
  readonly fates?: readonly Fate[];
  /** Told at the moment of a loss. */
  readonly incident?: Partial<Incident>;
  readonly trusted?: boolean;
}

function setUp({ source = SOURCE, fates = [], incident, trusted = false }: SetUp = {}) {
  const versionId = crypto.randomUUID();
  const namespace = "production";
  const place = { kind: "probation" as const, why: "", refusedUntilMs: 0 };
  const { defaults: limits } = DEFAULT_PLATFORM_LIMITS;
  const state = { generation: 1, namespace, script: "a", versionId, place, limits, trusted };
  const entry = new ScriptEntry(state, { underWay: 0 });
  const coming = [...fates];
  const log: string[] = [];
  let life = 10;
  const cells = new Cells({ probation: 1, total: 1 }, () => Promise.resolve({ index: 0, life }));
  cells.accept({ lives: [life] });
  const incidents = new IncidentLog();

  const loseCell = () => {
    const told: Incident = {
      kind: "cpu",
      atMs: Date.now(),
      process: "cell",
      index: 0,
      life,
      killed: true,
      named: null,
      certain: false,
      involved: [],
      detail: "",
      ...incident,
    };
    cells.accept({ lives: [++life] });
    if (incident !== undefined) incidents.accept(told);
    throw new Error("Network connection lost.");
  };
  const connection = {
    async fetch(input: RequestInfo, init?: RequestInit): Promise<Response> {
      const request = new Request(input, init);
      const isCall = request.headers.has(CALL_HEADER);
      const { pathname, searchParams } = new URL(request.url);
      const meant = searchParams.get("life");
      if (meant !== null && meant !== String(life)) return new Response(null, { status: 409 });
      const fate = isCall ? coming.shift() : undefined;
      log.push(isCall ? (fate ?? "call") : pathname);
      if (fate === "absent") throw new Error("internal error; reference = 1");
      if (fate === "evicted") {
        const elsewhere = { versionId: crypto.randomUUID(), limits: entry.options.limits, via: [] };
        const call = { ...elsewhere, namespace, script: "a", method: request.method };
        request.headers.set(CALL_HEADER, encodeURIComponent(JSON.stringify(call)));
      }
      const response = await CELL.fetch(request);
      if (fate === "broken") throw new Error("Network connection lost.");
      return fate === "lost" ? loseCell() : response;
    },
  };
  const fetchers = [connection as unknown as Fetcher];
  const bundle = (id: string) =>
    Promise.resolve({
      versionId: id,
      compatibilityDate: "2026-11-01",
      compatibilityFlags: [],
      syntax: "modules" as const,
      mainModule: "index.js",
      modules: [
        { name: "index.js", type: "esm" as const, content: new TextEncoder().encode(source) },
      ],
      env: {},
    });
  const loader = new CellLoader({
    cells,
    fetchers,
    bundle,
    grants: new Grants("00".repeat(32)),
    keepAlive: () => {},
  });
  const calls = new CellCalls({
    cells,
    loader,
    incidents,
    fetchers,
    refresh: () => Promise.resolve(),
  });
  const facts: InvocationFacts = { versionId: "" };

  const call = (init: RequestInit = {}, path = "/", dispatch: Partial<DispatchCall> = {}) =>
    calls.call({
      entry,
      dispatch: { script: "a", args: undefined, options: undefined, ...dispatch },
      via: [],
      request: new Request(`http://a.production.test${path}`, init),
      signal: undefined,
      facts,
    });
  const seen = async (...args: Parameters<typeof call>) =>
    (await (await call(...args))?.json()) as Seen;
  const failure = (...args: Parameters<typeof call>) =>
    call(...args).then(
      () => null,
      (error: unknown) => error as Error & { remote?: boolean },
    );
  const moveTo = (kind: PlaceKind) => entry.take({ ...state, place: { ...place, kind } });
  return { versionId, log, facts, moveTo, call, seen, failure };
}

describe("a cell that lacks the version", () => {
  test("gets the bundle, and the request again", async () => {
    const { seen, log, facts, versionId } = setUp();
    expect(await seen()).toMatchObject({ calls: 1, method: "GET" });
    expect(log).toEqual(["call", "/load", "call"]);
    expect(facts.versionId).toBe(versionId);
    expect(Object.keys(facts.cold ?? {})).toEqual(["place", "fetch", "load", "first"]);
  });

  test("is asked first if the request has a body", async () => {
    const { seen, log } = setUp();
    const upload = { method: "POST", body: "honey" };
    expect(await seen(upload)).toMatchObject({ calls: 1, method: "POST", body: "honey" });
    expect(await seen(upload)).toMatchObject({ calls: 2, body: "honey" });
    expect(log).toEqual(["/has", "/load", "call", "call"]);
  });

  test("gets it once for requests that come together", async () => {
    const { seen, log } = setUp();
    const answers = await Promise.all(Array.from({ length: 5 }, () => seen()));
    expect(answers.map(({ calls }) => calls)).toEqual(expect.arrayContaining([1, 2, 3, 4, 5]));
    expect(log.filter((path) => path === "/load")).toHaveLength(1);
  });

  test("gets it again after an eviction", async () => {
    const { seen, log } = setUp({ fates: ["evicted", "evicted"] });
    expect(await seen()).toMatchObject({ calls: 1 });
    expect(log).toEqual(["evicted", "/load", "evicted", "/load", "call"]);
  });

  test("cannot get a body twice", async () => {
    const { failure, log } = setUp({ fates: ["evicted"] });
    expect(await failure({ method: "POST", body: "honey" })).toBeInstanceOf(LostError);
    expect(log).toEqual(["/has", "/load", "evicted"]);
  });

  test("a version that does not start fails as if it had thrown", async () => {
    const { failure } = setUp({ source: "throw new Error('no wax')" });
    const error = await failure();
    expect(error).toMatchObject({ remote: true });
    expect(error?.message).toContain("no wax");
  });
});

describe("an invocation", () => {
  test("finds neither our headers nor a cf, but its props", async () => {
    const { seen } = setUp();
    const { headers, cf, props } = await seen({}, "/", { args: { tenant: "acme" } });
    expect(headers.filter((name) => name.startsWith("x-skep"))).toEqual([]);
    expect({ cf, props }).toEqual({ cf: null, props: { tenant: "acme" } });
  });

  test("finds a cf in a trusted namespace", async () => {
    expect((await setUp({ trusted: true }).seen()).cf).toMatchObject({ colo: "SKEP" });
  });

  test("that throws rejects as it would here", async () => {
    const error = await setUp().failure({}, "/throws");
    expect(error).toMatchObject({ name: "TypeError", message: "no honey left", remote: true });
  });

  test("can be a WebSocket", async () => {
    const response = await setUp().call({ headers: { upgrade: "websocket" } });
    const socket = response?.webSocket;
    socket?.accept();
    const { promise, resolve } = Promise.withResolvers<unknown>();
    socket?.addEventListener("message", ({ data }) => resolve(data));
    socket?.send("honey");
    expect(await promise).toBe("got honey");
    socket?.close();
  });
});

describe("when the cell dies", () => {
  const innocent = { named: crypto.randomUUID(), involved: [] };

  test.each(["GET", "HEAD", "OPTIONS"])("a bystander's %s is sent again", async (method) => {
    const { call, seen, log } = setUp({ fates: [null, null, "lost"], incident: innocent });
    expect((await seen()).calls).toBe(1);
    expect((await call({ method }))?.status).toBe(200);
    expect(log).toEqual(["call", "/load", "call", "lost", "call"]);
    // It is the same cell all the time.
    expect((await seen()).calls).toBe(4);
  });

  test("twice in a row, it is only sent to a cell of its own", async () => {
    const stays = setUp({ fates: ["lost", "lost"], incident: innocent });
    expect(await stays.failure()).toBeInstanceOf(LostError);
    expect(stays.log).toEqual(["lost", "lost"]);
    const moves = setUp({ fates: ["lost", "lost"], incident: innocent });
    const answer = moves.call();
    await scheduler.wait(50);
    moves.moveTo("dedicated");
    expect((await answer)?.status).toBe(200);
  });

  test.each(["POST", "DELETE"])("a bystander's %s is not", async (method) => {
    const { failure, log } = setUp({ fates: ["lost"], incident: innocent });
    expect(await failure({ method })).toBeInstanceOf(LostError);
    expect(log.filter((entry) => entry === "call")).toEqual([]);
  });

  test("and nobody says why, the same holds", async () => {
    expect((await setUp({ fates: ["lost"] }).call())?.status).toBe(200);
    expect(await setUp({ fates: ["lost"] }).failure({ method: "POST" })).toBeInstanceOf(LostError);
  });

  test("is not what happened if it is still there: then it was the function's answer", async () => {
    const early = setUp({ fates: ["broken"] });
    // It may have been the connection to the process before.
    expect((await early.call())?.status).toBe(200);
    const { failure, log } = setUp({ fates: ["broken"] });
    await scheduler.wait(1_000);
    expect(await failure()).toMatchObject({ remote: true });
    expect(log).toEqual(["broken", "/has"]);
  });

  test.each([
    ["cpu", "exceededCpu", /^Worker exceeded CPU time limit\..*cpu_ms = 50/],
    ["memory", "exceededMemory", /^Worker exceeded memory limit\..*memory_mb = 128/],
  ] as const)("of %s, who did it gets %s", async (kind, limit, message) => {
    const setting: { incident?: Partial<Incident> } = { incident: { kind } };
    const { failure, versionId, log } = setUp({ ...setting, fates: ["lost"] });
    Object.assign(setting.incident ?? {}, {
      named: versionId,
      certain: true,
      involved: [versionId],
    });
    const error = await failure();
    expect(limitOf(error)).toBe(limit);
    expect(error?.message).toMatch(message);
    expect(log.filter((entry) => entry === "call")).toEqual([]);
  });

  test("one that is named, though not for certain, runs again where it is alone", async () => {
    const incident: Partial<Incident> = { kind: "cpu" };
    const { moveTo, versionId, call, log } = setUp({ incident, fates: ["lost"] });
    Object.assign(incident, { named: versionId, involved: [versionId, crypto.randomUUID()] });
    const answer = call();
    await scheduler.wait(50);
    expect(log).toEqual(["lost"]);
    moveTo("dedicated");
    expect((await answer)?.status).toBe(200);
  });

  test("if it gets no place of its own, it was the one", async () => {
    const incident: Partial<Incident> = { kind: "cpu" };
    const { failure, versionId } = setUp({ incident, fates: ["lost"] });
    Object.assign(incident, { named: versionId, involved: [versionId, crypto.randomUUID()] });
    expect(limitOf(await failure())).toBe("exceededCpu");
  });

  test.each([1, 2])(
    "and any of %i may have done it, it waits for a cell of its own",
    async (count) => {
      const others = Array.from({ length: count - 1 }, () => crypto.randomUUID());
      const incident: Partial<Incident> = {};
      const stays = setUp({ incident, fates: ["lost"] });
      Object.assign(incident, { named: null, involved: [stays.versionId, ...others] });
      expect(await stays.failure()).toBeInstanceOf(LostError);
      const moves = setUp({ incident, fates: ["lost"] });
      Object.assign(incident, { named: null, involved: [moves.versionId, ...others] });
      const answer = moves.call();
      await scheduler.wait(50);
      expect(moves.log).toEqual(["lost"]);
      moves.moveTo("dedicated");
      expect((await answer)?.status).toBe(200);
    },
  );
});

test("a socket that is not there is tried until it is", async () => {
  const { call, log } = setUp({ fates: ["absent", "absent"] });
  expect((await call({ method: "POST" }))?.status).toBe(200);
  expect(log.slice(0, 2)).toEqual(["absent", "absent"]);
});

test("args that do not fit into a head are refused, and the cell is none the worse for it", async () => {
  const { failure, seen, log } = setUp();
  const args = { text: "ä".repeat(20_000) };
  const error = await failure({}, "/", { args });
  expect(error).toBeInstanceOf(TypeError);
  expect(error?.message).toMatch(/^a call of "a" takes 1\d{5} bytes beside its request/);
  expect(log).not.toContain("call");
  expect(await seen({}, "/", { args: { text: "ä".repeat(5_000) } })).toMatchObject({ calls: 1 });
});
