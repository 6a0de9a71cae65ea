import { describe, expect, it } from "vitest";
import { readRolloutOptions } from "./rollout-options.ts";
import { renderRollout } from "./rollout-text.ts";

const read = (canary: string, values: Record<string, string> = {}) =>
  readRolloutOptions("deploy", canary, values);

describe("options of a rollout", () => {
  it("begin with the canary, and leave to the API what is not said", () => {
    expect(read("10%")).toEqual({ steps: [10, 25, 50, 100] });
    expect(read("30")).toEqual({ steps: [30, 50, 100] });
    expect(read("0.5 %", { steps: "5%, 20", interval: "2m", "min-requests": "7" })).toEqual({
      steps: [0.5, 5, 20],
      interval_seconds: 120,
      min_requests: 7,
    });
    expect(read("10%", { "abort-on": "" })).toMatchObject({ abort_on: "" });
  });

  it.each([
    ["ten", {}, '--canary: expected percentages such as 10%, got "ten"'],
    ["10%", { steps: "20,,30" }, '--steps: expected percentages such as 10%, got ""'],
    [
      "10%",
      { interval: "1 day" },
      '--interval: expected a time such as 60s, 5m or 1h, got "1 day"',
    ],
    ["10%", { "min-requests": "-1" }, '--min-requests: expected a whole number, got "-1"'],
  ])("such as %s %j are refused", (canary, values, message) => {
    expect(() => read(canary, values as Record<string, string>)).toThrow(message);
  });
});

describe("a rollout as text", () => {
  const rollout = {
    state: "running",
    version_id: "new-id",
    previous_version_id: "old-id",
    percentage: 25,
    steps: [10, 25, 50, 100],
    interval_seconds: 60,
    min_requests: 100,
    abort_on: "error_rate>1%",
    latest: { at: "12:01", why: "30 of 60 s" },
    decisions: [
      { at: "12:00", action: "started", percentage: 10, why: "steps" },
      {
        at: "12:01",
        action: "advanced",
        percentage: 25,
        why: "error_rate 0 %",
        requests: { candidate: 120, baseline: 1_080 },
      },
    ],
  } as const;

  it("tells where it is, why, and what it waits for", () => {
    expect(renderRollout("ns/script", rollout)).toEqual([
      "ns/script: new-id instead of old-id: running at 25 %, then 50, 100 %",
      "",
      "12:00  started   10 %  steps",
      "12:01  advanced  25 %  error_rate 0 %; 120 requests against 1080",
      "",
      "now: 30 of 60 s (12:01)",
    ]);
  });

  it("that was superseded does not say who has what", () => {
    const decision = { at: "12:02", action: "superseded", percentage: null, why: "by somebody" };
    const lines = renderRollout("ns/script", {
      ...rollout,
      state: "superseded",
      percentage: null,
      latest: null,
      decisions: [decision],
    });
    expect(lines).toEqual([
      "ns/script: new-id instead of old-id: superseded",
      "",
      "12:02  superseded  -  by somebody",
    ]);
  });
});
