import { expect, test } from "vitest";
import { ANNOUNCEMENT, MARKER } from "../protocol/ledger.ts";
import { createOutputLines } from "./output-lines.ts";
import { Markers } from "./watch/markers.ts";

function capture() {
  const out: string[] = [];
  const clock = { now: 0 };
  const lines = createOutputLines(
    "edge 0 | ",
    (line) => out.push(line),
    () => clock.now,
  );
  return { out, clock, lines };
}

test("puts lines together from pieces, also within a character", () => {
  const { out, lines } = capture();
  const bytes = Buffer.from("eins\nzwölf\ndrei");
  for (const byte of bytes) lines.write(Buffer.from([byte]));
  expect(out).toEqual(["edge 0 | eins", "edge 0 | zwölf"]);
  lines.end();
  expect(out.at(-1)).toBe("edge 0 | drei");
});

test("cuts a long line and says by how much, holding no more than that in memory", () => {
  const { out, lines } = capture();
  for (let i = 0; i < 10; i++) lines.write(Buffer.from("x".repeat(1000)));
  lines.write(Buffer.from("\nnext\n"));
  expect(out[0]).toBe(`edge 0 | ${"x".repeat(4096)} (5904 more characters)`);
  expect(out[1]).toBe("edge 0 | next");
});

test("drops what exceeds the lines of a second and counts it", () => {
  const { out, clock, lines } = capture();
  lines.write(Buffer.from("a\n".repeat(700)));
  expect(out).toHaveLength(500);
  clock.now = 1000;
  lines.write(Buffer.from("b\n"));
  expect(out.slice(500)).toEqual([
    "edge 0 | (200 lines dropped: more than 500 a second)",
    "edge 0 | b",
  ]);
});

test("leaves out what workerd says of an isolate that was ended on purpose, and nothing else", () => {
  const { out, lines } = capture();
  const error = "workerd/jsg/util.c++:320: error: e = workerd/io/io-context.c++:1927: failed: ";
  lines.write(
    Buffer.from(`${error}script terminated for unknown reasons\nstack: /bin/workerd@1\n`),
  );
  lines.write(Buffer.from(`${error}something else\nstack: /bin/workerd@2\n`));
  expect(out).toEqual([`edge 0 | ${error}something else`, "edge 0 | stack: /bin/workerd@2"]);
});

test("hands marker lines over, however many and however split, and passes imitations on", () => {
  const [key, token] = ["ab".repeat(32), "cd".repeat(16)];
  const out: string[] = [];
  const markers = new Markers(key);
  const lines = createOutputLines(
    "cell 0 | ",
    (line) => out.push(line),
    () => 0,
    markers,
  );
  lines.write(Buffer.from(`${ANNOUNCEMENT}${key} ${token} version\n${MARKER}${token.slice(0, 9)}`));
  lines.write(Buffer.from(`${token.slice(9)}\nhello\n${`${MARKER}${token}\n`.repeat(5000)}`));
  lines.write(Buffer.from(`${MARKER}${"ef".repeat(16)}\nbye\n`));
  expect(markers.count).toBe(5001);
  expect(out).toEqual(["hello", `\\x01skep ${"ef".repeat(16)}`, "bye"].map((l) => `cell 0 | ${l}`));
});
