import { build } from "esbuild";
import { describe, expect, test } from "vitest";
import { SourceMap } from "./source-map.ts";
import { mapStack } from "./source-maps.ts";

const SOURCE = `const greeting: string = "hello";
export function first(): string {
  return greeting;
}
export function second(): never {
  throw new Error("from line 6");
}
`;

async function transformed(minify: boolean) {
  const { outputFiles } = await build({
    stdin: { contents: SOURCE, sourcefile: "src/a.ts", loader: "ts" },
    outfile: "index.js",
    sourcemap: "external",
    format: "esm",
    minify,
    write: false,
  });
  const text = (end: string) => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? "";
  return { code: text(".js"), map: new SourceMap(text(".map")) };
}

function positionOf(code: string, text: string): [line: number, column: number] {
  const before = code.slice(0, code.indexOf(text)).split("\n");
  return [before.length, (before.at(-1) ?? "").length + 1];
}

describe.each([false, true])("a map of esbuild's, minified %s,", (minify) => {
  test("leads to the source", async () => {
    const { code, map } = await transformed(minify);
    expect(map.find(...positionOf(code, "new Error"))).toEqual({
      source: "src/a.ts",
      line: 6,
      column: 9,
    });
    expect(map.find(...positionOf(code, '"hello"'))).toMatchObject({ line: 1, column: 26 });
  });

  test("knows where it ends", async () => {
    const { map } = await transformed(minify);
    expect(map.find(1_000, 1)).toBeUndefined();
    expect(map.find(0, 1)).toBeUndefined();
  });
});

test("frames that have no source stay as they are", async () => {
  const { code, map } = await transformed(true);
  const [line, column] = positionOf(code, "new Error");
  const stack = `    at fetch (./index.js:${line}:${column})\n    at index.js:${line}:${column}\n    at other.js:1:1`;
  expect(mapStack(stack, new Map([["index.js", map]]))).toBe(
    "    at fetch (src/a.ts:6:9)\n    at src/a.ts:6:9\n    at other.js:1:1",
  );
});

test("a map of nothing but lines takes four bytes for each", () => {
  const mappings = `${";".repeat(5_000_000)}AACA`;
  const map = new SourceMap(JSON.stringify({ version: 3, sources: ["a.ts"], mappings }));
  expect(map.bytes).toBe(4 * 5_000_002 + 16);
  expect(map.find(5_000_001, 1)).toEqual({ source: "a.ts", line: 2, column: 1 });
  expect(map.find(5_000_000, 1)).toBeUndefined();
});

test("a stack without a space in it costs no more than its length", async () => {
  const { map } = await transformed(true);
  const stack = `${"a".repeat(250_000)}\n${":1".repeat(100_000)}x`;
  expect(mapStack(stack, new Map([["index.js", map]]))).toBe(stack);
});

test.each([
  ["{", "JSON"],
  ["[]", "not a source map of version 3"],
  [`{"version":2}`, "not a source map of version 3"],
  [`{"version":3,"sources":["a"],"mappings":"A!"}`, "bad mappings"],
])("%s is refused", (text, message) => {
  expect(() => new SourceMap(text)).toThrow(message);
});
