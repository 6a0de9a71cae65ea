import { expect, test } from "vitest";
import type { Incident } from "../protocol/incident.ts";
import { Incidents } from "./incidents.ts";

const STALL: Incident = {
  kind: "cpu",
  atMs: 0,
  process: "cell",
  index: 3,
  life: 17,
  killed: true,
  named: "a",
  certain: false,
  involved: ["a", "b"],
  detail: "212 ms of CPU without progress",
};

function collect(deliver: (incident: Incident) => Promise<void>) {
  const lines: string[] = [];
  return { lines, incidents: new Incidents({ deliver, log: (line) => lines.push(line) }) };
}

test("says in one line what happened, to which process and because of whom", () => {
  const { lines, incidents } = collect(async () => {});
  incidents.report(STALL);
  incidents.report({ ...STALL, certain: true, involved: ["a"] });
  incidents.report({ ...STALL, kind: "memory", killed: false, process: "edge", named: null });
  incidents.report({ ...STALL, kind: "crash", process: "trial", named: null, involved: [] });
  expect(lines).toEqual([
    "cell 3 (life 17) was killed: cpu, 212 ms of CPU without progress; probably because of a; also in it b",
    "cell 3 (life 17) was killed: cpu, 212 ms of CPU without progress; because of a",
    "edge 3 (life 17) is replaced: memory, 212 ms of CPU without progress; in it a, b",
    "trial cell (life 17) ended by itself: crash, 212 ms of CPU without progress",
  ]);
  expect(incidents.counts).toEqual({
    "cell:cpu": 2,
    "edge:memory": 1,
    "trial:crash": 1,
  });
});

test("tells the hub of each until it has taken it, but not of lost trials", async () => {
  const taken: Incident[] = [];
  let failures = 3;
  const { incidents } = collect(async (incident) => {
    if (failures-- > 0) throw new Error("the hub is being replaced");
    taken.push(incident);
  });
  incidents.report({ ...STALL, process: "trial" });
  incidents.report(STALL);
  incidents.report({ ...STALL, process: "edge" });
  while (taken.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(taken.map(({ process }) => process).toSorted()).toEqual(["cell", "edge"]);
});

test("bounds what waits for a hub that is gone", () => {
  let calls = 0;
  const { lines, incidents } = collect(async () => {
    calls++;
    throw new Error("gone");
  });
  for (let count = 0; count < 1001; count++) incidents.report(STALL);
  incidents.stop();
  expect(calls).toBe(1000);
  expect(lines.filter((line) => line.startsWith("the hub is not told of"))).toHaveLength(1);
});
