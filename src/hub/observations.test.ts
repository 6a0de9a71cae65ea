import { describe, expect, it } from "vitest";
import { Aggregate } from "../dispatcher/aggregate.ts";
import type { Outcome, TelemetryFlush } from "../protocol/telemetry.ts";
import { observationsOf } from "./observations.ts";
import { SettledVersions } from "./settled-versions.ts";

/** A flush of one batch, with one delta per version and minute. */
function flushOf(...deltas: readonly [versionId: string, outcomes: Outcome[]][]): TelemetryFlush {
  const toDelta = ([versionId, outcomes]: (typeof deltas)[number]) => {
    const aggregate = new Aggregate();
    const kind = "fetch" as const;
    const usual = { versionId, kind, isRetry: false, status: 200, wallMs: 1 };
    for (const outcome of outcomes) aggregate.add({ ...usual, outcome });
    return { minute: 0, versionId, kind, ...aggregate.toData() };
  };
  const batch = { source: "edge", sequence: 1, deltas: deltas.map(toDelta) };
  return { functions: [{ namespace: "production", script: "f", batch }] };
}

describe("observations", () => {
  it("count clean invocations per version, over all deltas", () => {
    const flush = flushOf(
      ["a", ["ok", "exception", "canceled", "loadShed", "unknown"]],
      ["b", ["exceededCpu", "ok"]],
      ["a", ["ok"]],
    );
    expect(observationsOf(flush, new SettledVersions())).toEqual([
      { versionId: "a", clean: 4, exceeded: false },
      { versionId: "b", clean: 1, exceeded: true },
    ]);
  });

  it("leave out the versions that need no watching", () => {
    const settled = new SettledVersions();
    settled.learn()(["a"]);
    expect(observationsOf(flushOf(["a", ["ok"]]), settled)).toEqual([]);
  });
});

describe("settled versions", () => {
  it("are forgotten over an incident, even while an answer is on its way", () => {
    const settled = new SettledVersions();
    const learn = settled.learn();
    settled.forget(["a"]);
    learn(["a", "b"]);
    expect([settled.has("a"), settled.has("b")]).toEqual([false, false]);
    settled.learn()(["a", "b"]);
    settled.forget(["a"]);
    expect([settled.has("a"), settled.has("b")]).toEqual([false, true]);
  });
});
