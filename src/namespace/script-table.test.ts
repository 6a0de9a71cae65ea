import { describe, expect, test } from "vitest";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";
import type { PlaceKind } from "../protocol/placement.ts";
import type { ScriptState } from "../protocol/routing.ts";
import { ScriptTable } from "./script-table.ts";

function state(generation: number, versionId: string | null, kind?: PlaceKind) {
  const place = kind && { place: { kind, why: "", refusedUntilMs: 0 } };
  return { generation, namespace: "prod", script: "a", versionId, ...place };
}

/** What leaves the edges with each state in turn. */
function leaving(...states: ScriptState[]): string[][] {
  const table = new ScriptTable();
  return states.map((each) => [...table.accept(each).leaves]);
}

describe("ScriptTable", () => {
  test("keeps the newest state, in whatever order they come", () => {
    const table = new ScriptTable();
    table.accept(state(2, "v2"));
    expect(table.accept(state(1, "v1")).entry.state.versionId).toBe("v2");
    expect(table.get("prod", "a")?.state.versionId).toBe("v2");
    expect(table.get("prod", "b")).toBeUndefined();
  });

  test("an entry outlives its states, and counts on", () => {
    const table = new ScriptTable();
    const { entry } = table.accept(state(1, "v1", "probation"));
    entry.underWay = 3;
    table.accept(state(2, "v2", "edge"));
    expect(table.get("prod", "a")).toBe(entry);
    expect([entry.place, entry.underWay]).toEqual(["edge", 3]);
  });

  test("a version with another way out leaves the edges, to come back with that", () => {
    const outbound = { namespace: "ops", script: "out", parameters: ["customer"] };
    const filtered = (generation: number) => ({ ...state(generation, "v1", "edge"), outbound });
    const states = [state(1, "v1", "edge"), filtered(2), filtered(3), state(4, "v1", "edge")];
    expect(leaving(...states)).toEqual([[], ["v1"], [], ["v1"]]);
  });

  test("tells which version leaves the edges", () => {
    expect(leaving(state(1, "v1"), state(2, "v2"), state(3, null))).toEqual([[], ["v1"], ["v2"]]);
    expect(leaving(state(1, "v1", "edge"), state(2, "v1", "edge"))).toEqual([[], []]);
    expect(leaving(state(1, "v1", "edge"), state(2, "v1", "dedicated"))).toEqual([[], ["v1"]]);
    expect(leaving(state(1, "v1", "probation"), state(2, "v1", "edge"))).toEqual([[], []]);
    expect(leaving(state(1, "v1", "probation"), state(2, "v2", "probation"))).toEqual([[], []]);
  });

  test("tells which versions leave the edges, of those with shares", () => {
    const place = { kind: "edge" as const, why: "", refusedUntilMs: 0 };
    const { defaults: limits } = DEFAULT_PLATFORM_LIMITS;
    const shared = (generation: number, ...versions: string[]) => ({
      ...state(generation, versions[0] ?? null, "edge"),
      shares: versions.map((versionId) => ({ versionId, place, limits, percentage: 50 })),
    });
    const states = [state(1, "v1", "edge"), shared(2, "v1", "v2"), shared(3, "v3", "v2")];
    expect(leaving(...states, state(4, "v4", "edge"))).toEqual([[], [], ["v1"], ["v3", "v2"]]);
  });

  test("a preview that leads to another version does not end the first one", () => {
    const preview = (generation: number, versionId: string | null, kind: PlaceKind) => {
      return { ...state(generation, versionId, kind), previewOf: "b" };
    };
    const states = [preview(1, "v1", "edge"), preview(2, "v2", "edge"), preview(3, null, "edge")];
    expect(leaving(...states)).toEqual([[], [], []]);
    expect(leaving(preview(1, "v1", "edge"), preview(2, "v1", "dedicated"))).toEqual([[], ["v1"]]);
  });
});
