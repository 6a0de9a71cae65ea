import { describe, expect, it } from "vitest";
import type { IncidentKind } from "../protocol/incident.ts";
import { TrialQueue } from "./trials.ts";

const BUNDLE = {
  versionId: "v",
  compatibilityDate: "2026-01-01",
  compatibilityFlags: [],
  syntax: "modules",
  mainModule: "index.js",
  modules: [],
  env: {},
} as const;

/** A service that answers each call with the next of `answers`; null: its process dies over it. */
function service(answers: readonly (object | null)[]) {
  let calls = 0;
  const fetch = async () => {
    const answer = answers[calls++];
    if (!answer) throw new Error("Network connection lost.");
    return Response.json(answer);
  };
  return { fetcher: { fetch } as unknown as Fetcher, calls: () => calls };
}

const STARTED = { ok: true, startupTimeMs: 1, handlers: ["fetch"], exports: [] };
const lost = (kind: IncidentKind | null) => ({ kind });

describe("a trial whose cell is lost", () => {
  it.each([
    ["cpu", "Script startup exceeded CPU time limit."],
    ["memory", "Script startup exceeded memory limit."],
  ] as const)("over %s has failed at once", async (kind, message) => {
    const cell = service([null, STARTED]);
    const supervisor = service([lost(kind)]);
    const outcome = await new TrialQueue(cell.fetcher, supervisor.fetcher).run(BUNDLE);
    expect(outcome).toEqual({ ok: false, failure: { reason: "startup-failed", message } });
    expect(cell.calls()).toBe(1);
  });

  it.each([null, "crash"] as const)("over %s is repeated in the next cell", async (kind) => {
    const cell = service([null, STARTED]);
    const outcome = await new TrialQueue(cell.fetcher, service([lost(kind)]).fetcher).run(BUNDLE);
    expect(outcome).toMatchObject({ ok: true, value: { startupTimeMs: 1 } });
  });

  it("twice has failed", async () => {
    const supervisor = service([lost(null), lost(null)]);
    const outcome = await new TrialQueue(service([null, null]).fetcher, supervisor.fetcher).run(
      BUNDLE,
    );
    expect(outcome).toMatchObject({ ok: false, failure: { reason: "startup-failed" } });
  });

  it("without a successor changed nothing", async () => {
    const outcome = await new TrialQueue(service([null]).fetcher, service([null]).fetcher).run(
      BUNDLE,
    );
    expect(outcome).toMatchObject({ ok: false, failure: { reason: "trial-unavailable" } });
  });

  it("does not hold up the one behind it", async () => {
    const cell = service([null, STARTED]);
    const queue = new TrialQueue(cell.fetcher, service([lost("cpu")]).fetcher);
    const outcomes = await Promise.all([queue.run(BUNDLE), queue.run(BUNDLE)]);
    expect(outcomes.map(({ ok }) => ok)).toEqual([false, true]);
  });
});
