import { describe, expect, it } from "vitest";
import { DEFAULT_PLATFORM_LIMITS, LIMIT_NAMES, NAMESPACE_LIMITS } from "../protocol/limits.ts";
import { readAssignments, renderLimits } from "./limits.ts";

describe("readAssignments", () => {
  it("sets and removes", () => {
    expect([...readAssignments(["cpu_ms=100", "memory_mb="])]).toEqual([
      ["cpu_ms", 100],
      ["memory_mb", null],
    ]);
  });

  it.each([
    ["cpu_ms", 'expected name=value or name=, got "cpu_ms"'],
    ["cpu=5", 'there is no limit "cpu"; did you mean cpu_ms?'],
    ["xyz=5", 'there is no limit "xyz"; there are cpu_ms, memory_mb'],
    ["cpu_ms=5ms", 'cpu_ms: expected a whole number, got "5ms"'],
    ["cpu_ms=-5", 'cpu_ms: expected a whole number, got "-5"'],
  ])("refuses %j", (word, message) => {
    expect(() => readAssignments([word])).toThrow(message);
  });
});

it("shows what holds and what was set", () => {
  const effective = { ...DEFAULT_PLATFORM_LIMITS.defaults, cpu_ms: 100 };
  const lines = renderLimits({ limits: { cpu_ms: 200 }, effective }, "namespace");
  expect(lines[1]).toMatch(/^cpu_ms +100 ms +set to 200 +CPU time of an invocation$/);
  expect(lines[2]).toMatch(/^memory_mb +128 MiB +memory of/);
});

it("shows of a script only the limits that one can have", () => {
  const { defaults: effective } = DEFAULT_PLATFORM_LIMITS;
  const names = (owner: "namespace" | "script") =>
    renderLimits({ limits: {}, effective }, owner)
      .slice(1)
      .map((line) => line.split(" ", 1)[0]);
  expect(names("namespace")).toEqual(LIMIT_NAMES);
  expect(names("script")).toEqual(LIMIT_NAMES.filter((name) => !NAMESPACE_LIMITS.includes(name)));
});
