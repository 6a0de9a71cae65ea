import { describe, expect, test } from "vitest";
import { fill, Pattern } from "./pattern.ts";

describe("a pattern", () => {
  test.each<[string, string, object | undefined]>([
    ["/a", "/a", {}],
    ["/a", "/ab", undefined],
    ["/a*", "/a", { splat: "" }],
    ["/a*c", "/abcbc", { splat: "bcb" }],
    ["*", "/x/y", { splat: "/x/y" }],
    ["/:a", "/", undefined],
    ["/:a", "/x", { a: "x" }],
    ["/:a", "/x/y", undefined],
    ["/:a/:b", "/x/y", { a: "x", b: "y" }],
    ["/:a-:b", "/1-2-3", { a: "1-2", b: "3" }],
    ["/:a/*", "/x/y/z", { a: "x", splat: "y/z" }],
    ["/*/:a", "/x/y/z", { splat: "x/y", a: "z" }],
    ["/time/12:30", "/time/12:30", {}],
    ["/a.b", "/axb", undefined],
    ["https://:sub.example.com/:page", "https://www.example.com/a.b", { sub: "www", page: "a.b" }],
    ["https://:sub.example.com/", "https://a.b.example.com/", undefined],
    ["https://*/a", "https://example.com/a", { splat: "example.com" }],
  ])("%s of %s", (pattern, text, captures) => {
    expect(new Pattern(pattern).match(text)).toEqual(captures);
  });

  test("takes a colon for a colon where there are no placeholders", () => {
    expect(new Pattern("/:a*", false).match("/:ab")).toEqual({ splat: "b" });
    expect(new Pattern("/:a", false).match("/x")).toBeUndefined();
  });

  test("matches what the regular expression would that it stands for", () => {
    const pieces = ["/", "a", "b", "*", ":x", "-", "."];
    let seed = 1;
    const next = (n: number) => (seed = (seed * 48_271) % 2_147_483_647) % n;
    const text = (from: readonly string[]) =>
      `/${Array.from({ length: next(8) }, () => from[next(from.length)]).join("")}`;
    let matched = 0;
    for (let round = 0; round < 20_000; round++) {
      const source = text(pieces);
      if (source.split("*").length > 2 || source.split(":x").length > 2) continue;
      if (/:x\w/.test(source)) continue;
      const escaped = source.replaceAll(/[.-]/g, "\\$&");
      const expression = escaped.replace("*", "(?<splat>.*)").replace(":x", "(?<x>[^/]+)");
      const path = text(["/", "a", "b", "-", "."]);
      const wanted = new RegExp(`^${expression}$`).exec(path);
      const groups = wanted === null ? undefined : { ...wanted.groups };
      expect(new Pattern(source).match(path), `${source} of ${path}`).toEqual(groups);
      if (wanted !== null) matched++;
    }
    expect(matched).toBeGreaterThan(100);
  });

  test("is bounded in what it costs, whatever the pattern", () => {
    // As a regular expression this would not end.
    const hostile = new Pattern(`/${Array.from({ length: 50 }, (_, n) => `:p${n}-`).join("")}end`);
    expect(hostile.match(`/${"-".repeat(1_900)}`)).toBeUndefined();
    expect(
      new Pattern("/*a*a*a*a*a*a*a*a*b", false).match(`/${"a".repeat(1_900)}`),
    ).toBeUndefined();
    expect(new Pattern("/*").match(`/${"a".repeat(5_000)}`)).toBeUndefined();
  });
});

test("what was captured is filled in as it is", () => {
  expect(fill("/x/:a/:b?:splat", { a: "$&", b: ":a", splat: "s" })).toBe("/x/$&/:a?s");
});
