import { describe, expect, test } from "vitest";
import type { PlaceKind } from "../protocol/placement.ts";
import { ScriptTable } from "./script-table.ts";

function state(generation: number, versionId: string | null, kind?: PlaceKind) {
  const place = kind && { place: { kind, why: "", refusedUntilMs: 0 } };
  return { generation, namespace: "prod", script: "a", versionId, ...place };
}

/** What leaves the edges with each state in turn. */
function leaving(...states: ReturnType<typeof state>[]): (string | null)[] {
  const table = new ScriptTable();
  return states.map((each) => table.accept(each).leaves);
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
    expect(leaving(...states)).toEqual([null, "v1", null, "v1"]);
  });

  test("tells which version leaves the edges", () => {
    expect(leaving(state(1, "v1"), state(2, "v2"), state(3, null))).toEqual([null, "v1", "v2"]);
    expect(leaving(state(1, "v1", "edge"), state(2, "v1", "edge"))).toEqual([null, null]);
    expect(leaving(state(1, "v1", "edge"), state(2, "v1", "dedicated"))).toEqual([null, "v1"]);
    expect(leaving(state(1, "v1", "probation"), state(2, "v1", "edge"))).toEqual([null, null]);
    expect(leaving(state(1, "v1", "probation"), state(2, "v2", "probation"))).toEqual([null, null]);
  });
});
