import { describe, expect, it } from "vitest";
import { revive, unflatten } from "./dialect.ts";

const metadata = (...fields: [string, string][]) =>
  unflatten(
    "metadata",
    fields.map(([path, value]) => [`metadata${path}`, value] as const),
  );

describe("unflatten", () => {
  it("starts the next array element at a key that repeats", () => {
    expect(
      metadata(
        ["[main_module]", "index.mjs"],
        ["[bindings][][type]", "plain_text"],
        ["[bindings][][name]", "A"],
        ["[bindings][][text]", "1"],
        ["[bindings][][type]", "json"],
        ["[bindings][][name]", "B"],
        ["[bindings][][json][list][]", "x"],
        ["[bindings][][json][list][]", "y"],
        ["[bindings][][json][deep][a]", "2"],
        ["[compatibility_flags][]", "nodejs_compat"],
        ["[compatibility_flags][]", "other"],
      ),
    ).toEqual({
      main_module: "index.mjs",
      bindings: [
        { type: "plain_text", name: "A", text: "1" },
        { type: "json", name: "B", json: { list: ["x", "y"], deep: { a: "2" } } },
      ],
      compatibility_flags: ["nodejs_compat", "other"],
    });
  });

  it("keeps arrays of objects within array elements apart", () => {
    expect(
      metadata(
        ["[bindings][][name]", "A"],
        ["[bindings][][json][][x]", "1"],
        ["[bindings][][json][][x]", "2"],
        ["[bindings][][name]", "B"],
      ),
    ).toEqual({ bindings: [{ name: "A", json: [{ x: "1" }, { x: "2" }] }, { name: "B" }] });
  });

  it("finds nothing in fields of other names", () => {
    expect(
      unflatten("metadata", [
        ["metadata", "{}"],
        ["metadatas[a]", "1"],
        ["x[a]", "1"],
      ]),
    ).toBe(undefined);
  });

  it("takes __proto__ for a name like any other", () => {
    const tree = metadata(["[__proto__][polluted]", "yes"]) as object;
    expect(Object.keys(tree)).toEqual(["__proto__"]);
    expect(({} as Record<string, unknown>)["polluted"]).toBe(undefined);
  });

  it("refuses fields that contradict each other", () => {
    expect(() => metadata(["[a]", "1"], ["[a][b]", "2"])).toThrow(
      /"metadata\[a\]\[b\]" contradicts/,
    );
    expect(() => metadata(["[a]", "1"], ["[a]", "2"])).toThrow(/contradicts/);
  });
});

describe("revive", () => {
  it.each<[string, unknown]>([
    ["5", 5],
    ["true", true],
    ["null", null],
    ['{"a":[1]}', { a: [1] }],
    ["plain words", "plain words"],
    ["", ""],
    ["0123", "0123"],
  ])("reads %j", (text, value) => {
    expect(revive({ leaf: [text] })).toEqual({ leaf: [value] });
  });
});
