import { expect, it } from "vitest";
import { Aggregate } from "../dispatcher/aggregate.ts";
import { Histogram } from "../dispatcher/histogram.ts";
import { renderPrometheus } from "./metrics-prometheus.ts";

function totals(...wallMs: number[]) {
  const aggregate = new Aggregate();
  for (const ms of wallMs) {
    aggregate.add({
      versionId: "v",
      kind: "fetch",
      isRetry: false,
      outcome: "ok",
      status: 200,
      wallMs: ms,
    });
  }
  return aggregate;
}

const fetches = (aggregate: Aggregate) => [{ kind: "fetch" as const, totals: aggregate.toData() }];

/** Sample lines by name and labels. */
function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const space = line.lastIndexOf(" ");
    samples.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return samples;
}

it("groups all samples of a family under one HELP and TYPE", () => {
  const functions = ["a", "b"].map((script) => ({
    namespace: "ns",
    script,
    totals: fetches(totals(1)),
  }));
  // A block starts at its HELP line.
  const [, ...blocks] = renderPrometheus(functions).split(/^# HELP /m);
  const names = blocks.map((block) => {
    const [help = "", type, ...samples] = block.trimEnd().split("\n");
    const name = help.split(" ", 1)[0] as string;
    expect(help).toMatch(/^skep_\w+ [A-Z].*\.$/);
    expect(type).toMatch(new RegExp(`^# TYPE ${name} (counter|histogram)$`));
    const line = new RegExp(`^${name}(_bucket|_sum|_count)?\\{([a-z]+="[^"]*",?)+\\} [0-9.e+-]+$`);
    for (const sample of samples) expect(sample).toMatch(line);
    return name;
  });
  expect(names).toContain("skep_cold_start_phase_seconds");
  expect(new Set(names).size).toBe(names.length);
});

it("has cumulative buckets in seconds that include values equal to their bound", () => {
  const samples = samplesOf(
    renderPrometheus([
      { namespace: "ns", script: "f", totals: fetches(totals(0, 1, 2, 5, 10, 10, 11, 999, 1e6)) },
    ]),
  );
  const bucket = (le: string) =>
    samples.get(
      `skep_invocation_wall_seconds_bucket{namespace="ns",script="f",kind="fetch",le="${le}"}`,
    );
  expect(["0.001", "0.0025", "0.005", "0.01", "0.025", "1", "60", "+Inf"].map(bucket)).toEqual([
    2, 3, 4, 6, 7, 8, 8, 9,
  ]);
  expect(
    samples.get('skep_invocation_wall_seconds_count{namespace="ns",script="f",kind="fetch"}'),
  ).toBe(9);
  expect(
    samples.get('skep_invocation_wall_seconds_sum{namespace="ns",script="f",kind="fetch"}'),
  ).toBeCloseTo(1001.038, 6);
});

it("has CPU samples only where there is an estimate", () => {
  const without = totals(4);
  const withCpu = totals(4);
  withCpu.cpu = new Histogram();
  withCpu.cpu.add(2);
  const samples = samplesOf(
    renderPrometheus([
      { namespace: "ns", script: "without", totals: fetches(without) },
      { namespace: "ns", script: "with", totals: fetches(withCpu) },
    ]),
  );
  const sum = (script: string) =>
    samples.get(`skep_invocation_cpu_seconds_sum{namespace="ns",script="${script}",kind="fetch"}`);
  expect(sum("without")).toBe(undefined);
  expect(sum("with")).toBe(0.002);
});

it("escapes label values", () => {
  const text = renderPrometheus([
    { namespace: 'quote"', script: "back\\slash\nline", totals: fetches(totals(1)) },
  ]);
  expect(text).toContain(
    'skep_cold_starts_total{namespace="quote\\"",script="back\\\\slash\\nline",kind="fetch"} 0\n',
  );
});
