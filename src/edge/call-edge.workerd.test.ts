// What becomes of a request that was forwarded to a function's home edge and lost there. The peer is the test's own;
// that the request is run in this edge instead shows by the load it asks for.
import { expect, test } from "vitest";
import { Isolates } from "../cell/isolates.ts";
import { Ledger } from "../cell/ledger.ts";
import { LruKeepAlive } from "../cell/keep-alive.ts";
import { homeOf } from "../namespace/home.ts";
import { ScriptEntry } from "../namespace/script-entry.ts";
import { UnavailableError } from "../protocol/dispatch-errors.ts";
import type { Incident } from "../protocol/incident.ts";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";
import type { PlaceKind } from "../protocol/placement.ts";
import { EdgeCalls } from "./call-edge.ts";
import { IncidentLog } from "./incident-log.ts";

interface SetUp {
  /** Of the incident that the supervisor tells; none if it tells none. */
  readonly incident?: (versionId: string) => Partial<Incident>;
  /** Where the hub moves the function, soon after. */
  readonly movedTo?: PlaceKind;
}

const HERE = "it would run in this edge";

function setUp({ incident, movedTo }: SetUp) {
  let versionId = crypto.randomUUID() as string;
  while (homeOf(versionId, 2) !== 1) versionId = crypto.randomUUID();
  const namespace = "production";
  const place = { kind: "edge" as const, why: "", refusedUntilMs: 0 };
  const { defaults: limits } = DEFAULT_PLATFORM_LIMITS;
  const state = { generation: 1, namespace, script: "a", versionId, place, limits };
  const entry = new ScriptEntry(state, { underWay: 0 });
  const incidents = new IncidentLog();
  const tell = () => {
    const detail = { life: 3, killed: true, named: null, certain: false, involved: [], detail: "" };
    const base = { ...detail, kind: "cpu", process: "edge", index: 1, atMs: Date.now() } as const;
    if (incident !== undefined) incidents.accept({ ...base, ...incident(versionId) });
    if (movedTo === undefined) return;
    entry.take({ ...state, generation: 2, place: { ...place, kind: movedTo } });
  };
  let asked = 0;
  const peer = {
    fetch() {
      asked++;
      setTimeout(tell, 20);
      return Promise.reject(new Error("Network connection lost."));
    },
  } as unknown as Fetcher;
  const isolates = new Isolates({
    loader: undefined as unknown as WorkerLoader,
    ledger: new Ledger(),
    keepAlive: new LruKeepAlive(),
    background: undefined,
    outbound: () => null,
  });
  const calls = new EdgeCalls({
    isolates,
    edgeIndex: 0,
    peers: [peer, peer],
    incidents,
    load: () => Promise.reject(new UnavailableError(HERE)),
    refresh: () => Promise.resolve(),
  });
  const call = (init: RequestInit = {}) =>
    calls
      .call({
        entry,
        dispatch: { script: "a", args: undefined, options: undefined },
        variant: undefined,
        via: [],
        request: new Request("http://a.production.test/", init),
        signal: undefined,
        facts: { versionId },
      })
      .then(
        (response) => response,
        (error: Error) => `${error.name}: ${error.message}`,
      );
  return { call, asked: () => asked };
}

const AGAIN = `UnavailableError: ${HERE}`;
const LOST = "LostError: the edge that ran this request was lost";
const OVER_CPU = expect.stringMatching(/^LimitError: Worker exceeded CPU time limit\./) as string;

test("one of which another function is the culprit is run here", async () => {
  const { call, asked } = setUp({ incident: () => ({ named: "another", involved: ["another"] }) });
  expect(await call()).toBe(AGAIN);
  expect(asked()).toBe(1);
});

test("one that may have run, and is no GET, is lost", async () => {
  const { call } = setUp({ incident: () => ({ named: "another", involved: ["another"] }) });
  expect(await call({ method: "POST", body: "honey" })).toBe(LOST);
});

test("one sent on a connection to the process before is run here, whoever was the culprit", async () => {
  const { call } = setUp({
    incident: (version) => ({ atMs: Date.now() - 500, named: version, involved: [version] }),
  });
  expect(await call()).toBe(AGAIN);
});

test("one of a suspect goes on where the hub moves it, and not here", async () => {
  const { call } = setUp({
    incident: (version) => ({ involved: [version, "another"] }),
    movedTo: "dedicated",
  });
  // The caller looks where it is now.
  expect(await call()).toBeUndefined();
});

test("one of the culprit gets its limit, if it cannot go on elsewhere", async () => {
  const { call } = setUp({ incident: (version) => ({ named: version, involved: [version] }) });
  expect(await call()).toEqual(OVER_CPU);
  expect(await call({ method: "POST", body: "honey" })).toEqual(OVER_CPU);
});

test("one of which nobody says why is run here once", async () => {
  const { call, asked } = setUp({});
  expect(await call()).toBe(AGAIN);
  expect(asked()).toBe(1);
  expect(await call({ method: "POST", body: "honey" })).toBe(LOST);
});
