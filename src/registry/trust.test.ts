import { describe, expect, it } from "vitest";
import type { Incident } from "../protocol/incident.ts";
import { blames, derivePlace, newcomer, nextTrust, type TrustEvent } from "./trust.ts";

/** Times of the tables below are seconds after the version was released. */
const at = (seconds: number) => seconds * 1000;
const clean = (seconds: number, run: number): TrustEvent => ({
  kind: "clean",
  atMs: at(seconds),
  run,
});
const suspect = (seconds: number): TrustEvent => ({
  kind: "suspect",
  atMs: at(seconds),
  why: "stalled cell 1",
});
const convict = (seconds: number): TrustEvent => ({
  kind: "convict",
  atMs: at(seconds),
  why: "stalled cell 2",
});
const strike = (seconds: number, demote = false): TrustEvent => ({
  kind: "strike",
  atMs: at(seconds),
  why: "under way when cell 1 was stalled",
  demote,
});

function after(...events: readonly TrustEvent[]) {
  return events.reduce(nextTrust, newcomer(0));
}

describe("trust", () => {
  it.each<[string, TrustEvent[], string]>([
    ["starts on probation", [], "probation"],
    ["is not earned by a short run", [clean(100, 99)], "probation"],
    ["is not earned in a short time", [clean(59, 10_000)], "probation"],
    ["is earned by both", [clean(60, 100)], "proven"],
    ["is lost by a suspicion", [clean(60, 100), suspect(70)], "suspect"],
    ["comes back from a suspicion", [suspect(10), clean(70, 100)], "proven"],
    ["takes a minute to come back", [suspect(10), clean(69, 1_000)], "suspect"],
    [
      "takes a minute from the latest suspicion",
      [suspect(10), suspect(50), clean(109, 500)],
      "suspect",
    ],
    ["never comes back from a conviction", [convict(10), clean(10_000, 10_000)], "convicted"],
    ["is convicted out of any state", [clean(60, 100), convict(70)], "convicted"],
    ["stays convicted under suspicion", [convict(10), suspect(20), strike(30, true)], "convicted"],
    ["survives one strike", [clean(60, 100), strike(70)], "proven"],
    [
      "survives a strike every eleven minutes",
      [strike(0), strike(660), strike(1_320)],
      "probation",
    ],
    ["does not survive two in ten minutes", [strike(0), strike(599)], "suspect"],
    ["is earned anew after an edge fell", [clean(60, 100), strike(70, true)], "probation"],
    ["is earned anew in full", [clean(60, 100), strike(70, true), clean(129, 100)], "probation"],
    [
      "counts strikes anew after a suspicion",
      [strike(0), strike(1), clean(61, 100), strike(62)],
      "proven",
    ],
  ])("%s", (_what, events, state) => {
    expect(after(...events).state).toBe(state);
  });

  it("returns the very record that an event does not change", () => {
    const proven = after(clean(60, 100));
    expect(nextTrust(proven, clean(70, 200))).toBe(proven);
    const convicted = after(convict(1));
    expect(nextTrust(convicted, strike(2))).toBe(convicted);
  });

  it("refuses for twice as long with each conviction, up to five minutes", () => {
    const waits: number[] = [];
    let trust = newcomer(0);
    for (let n = 0; n < 11; n++) {
      trust = nextTrust(trust, convict(n * 600));
      waits.push((trust.refusedUntilMs - at(n * 600)) / 1000);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  it("forgets convictions after a quiet hour", () => {
    const trust = after(convict(0), convict(10), convict(10 + 3_600));
    expect([trust.convictions, trust.refusedUntilMs - at(3_610)]).toEqual([1, 1_000]);
  });
});

describe("the blame for an incident", () => {
  const incident = (more: Partial<Incident>): Incident => ({
    kind: "cpu",
    atMs: 0,
    process: "cell",
    index: 1,
    life: 7,
    killed: true,
    named: null,
    certain: false,
    involved: [],
    detail: "",
    ...more,
  });
  const many = (count: number) => Array.from({ length: count }, (_, n) => `v${n}`);

  it.each<[string, Partial<Incident>, boolean, Record<string, string>]>([
    [
      "a named version is a suspect, others get a strike",
      { named: "a", involved: ["a", "b"] },
      false,
      { a: "suspect", b: "strike" },
    ],
    ["a sole version is a suspect", { involved: ["a"] }, false, { a: "suspect" }],
    [
      "without a name all of a few are suspects",
      { involved: ["a", "b"] },
      false,
      { a: "suspect", b: "suspect" },
    ],
    [
      "without a name all of many get a strike",
      { involved: many(9) },
      false,
      Object.fromEntries(many(9).map((id) => [id, "strike"])),
    ],
    [
      "once is no conviction",
      { named: "a", certain: true, involved: ["a"] },
      false,
      { a: "suspect" },
    ],
    ["a dedicated cell convicts", { involved: ["a"] }, true, { a: "convict" }],
    ["a drained one does not", { killed: false, named: "a", involved: ["a"] }, true, {}],
    [
      "an edge suspects all of a few",
      { process: "edge", involved: many(8) },
      false,
      Object.fromEntries(many(8).map((id) => [id, "suspect"])),
    ],
    [
      "an edge strikes all of many",
      { process: "edge", involved: many(9) },
      false,
      Object.fromEntries(many(9).map((id) => [id, "strike"])),
    ],
    [
      "nobody is blamed for the trial cell",
      { process: "trial", named: "a", involved: ["a"] },
      false,
      {},
    ],
  ])("%s", (_what, more, dedicated, expected) => {
    const found = [...blames(incident(more), dedicated)].map(([id, { kind }]) => [id, kind]);
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  it("says what happened where", () => {
    const why = (more: Partial<Incident>) =>
      [...blames(incident({ involved: ["a", "b"], named: "a", ...more }), false).values()].map(
        (blame) => blame.why,
      );
    expect(why({})).toEqual([
      "stalled cell 1 at 00:00:00Z",
      "under way when cell 1 was stalled at 00:00:00Z",
    ]);
    expect(why({ kind: "memory", process: "edge", index: 0 })).toEqual([
      "filled the memory of edge 0 at 00:00:00Z",
      "under way when edge 0 ran out of memory at 00:00:00Z",
    ]);
  });
});

describe("the place", () => {
  const probation = newcomer(0);
  const proven = after(clean(60, 100));
  const demoted = after(clean(60, 100), strike(70, true));
  const suspected = after(suspect(10));
  it.each([
    [probation, "shared", "probation", "new version"],
    [probation, "trusted", "edge", "isolation = trusted"],
    [probation, "dedicated", "dedicated", "isolation = dedicated"],
    [demoted, "trusted", "probation", "under way when cell 1 was stalled"],
    [proven, "shared", "edge", "proven by 100 clean invocations"],
    [proven, "dedicated", "dedicated", "isolation = dedicated"],
    [suspected, "shared", "dedicated", "stalled cell 1"],
    [suspected, "trusted", "dedicated", "stalled cell 1"],
  ] as const)("of %j under %s is %s: %s", (trust, isolation, kind, why) => {
    expect(derivePlace(trust, isolation)).toEqual({ kind, why, refusedUntilMs: 0 });
  });
});
