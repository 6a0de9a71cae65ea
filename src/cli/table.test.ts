import { expect, test } from "vitest";
import { alignColumns } from "./table.ts";

test("columns are as wide as their widest cell, and no line ends in spaces", () => {
  expect(
    alignColumns([
      ["a", "bbb", ""],
      ["aaa", "b", "c"],
    ]),
  ).toEqual(["a    bbb", "aaa  b    c"]);
});

test("what was written by others stays on its line, and does not command the terminal", () => {
  const [line] = alignColumns([["id", "\u001b[2J\nid2  forged\u009b31m"]]);
  expect(line).toBe("id  \u{FFFD}[2J\u{FFFD}id2  forged\u{FFFD}31m");
});
