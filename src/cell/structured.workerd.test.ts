import { expect, test, vi } from "vitest";
import { decodeStructured, encodeStructured } from "../protocol/structured.ts";

/** As structured clone brings them in at next to no cost. */
const holes: unknown[] = [];
holes.length = 2 ** 32 - 1;

const trip = (value: unknown) => decodeStructured(encodeStructured(value, "the value"));

test.each([
  ["primitives", ["a", "", 1, -1.5, true, null, undefined, 10n ** 30n]],
  ["odd numbers", [Number.NaN, Infinity, -Infinity, -0, Number.MAX_VALUE]],
  ["dates", [new Date(0), new Date(Number.NaN)]],
  ["a regular expression", /a\/b[\n]/giu],
  ["maps and sets", new Map<unknown, unknown>([[{ a: 1 }, new Set([1, new Map()])]])],
  ["buffers", [new Uint8Array([1, 2, 3]).buffer, new Uint8Array([1, 2, 3, 4]).subarray(1, 3)]],
  ["views", [new Float64Array([1.5]), new BigInt64Array([5n]), new DataView(new ArrayBuffer(2))]],
  // oxlint-disable-next-line no-sparse-arrays
  ["holes", [1, , 3]],
  ["keys", { "": 1, "a b": { constructor: 2 }, 0: "zero" }],
  ["half a surrogate pair", "\ud800"],
])("carries %s", (_, value) => {
  expect(trip(value)).toStrictEqual(value);
});

test("an object's own __proto__ stays a key", () => {
  const copy = trip(JSON.parse(`{"__proto__": {"polluted": 1}}`)) as object;
  expect(Object.hasOwn(copy, "__proto__")).toBe(true);
  expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test("cycles and shared references stay what they are", () => {
  const shared = { n: 1 };
  const value: Record<string, unknown> = { a: shared, b: shared, list: [] };
  value["self"] = value;
  (value["list"] as unknown[]).push(value);
  const copy = trip(value) as Record<string, unknown>;
  expect(copy["self"]).toBe(copy);
  expect((copy["list"] as unknown[])[0]).toBe(copy);
  expect(copy["a"]).toBe(copy["b"]);
});

test("errors keep class, name, message and cause", () => {
  const custom = Object.assign(new Error("inner"), { name: "HoneyError" });
  const copy = trip(new RangeError("outer", { cause: custom })) as Error;
  expect(copy).toBeInstanceOf(RangeError);
  expect(copy.message).toBe("outer");
  expect(copy.cause).toMatchObject({ name: "HoneyError", message: "inner" });
});

test("carries what is nested very deep", () => {
  let value: unknown = null;
  for (let depth = 0; depth < 100_000; depth++) value = [value];
  let copy = trip(value);
  let depth = 0;
  for (; copy !== null; depth++) copy = (copy as unknown[])[0];
  expect(depth).toBe(100_000);
});

test.each([
  ["a function", () => 1],
  ["a symbol", Symbol("x")],
  ["a ReadableStream", new ReadableStream()],
  ["a Request", new Request("http://a/")],
  ["a Response", new Response("x")],
  ["an instance of a class", new (class Bee {})()],
  ["an array of 4294967295 elements with holes", holes],
  ["a Promise", Promise.resolve()],
])("refuses %s and says why", (kind, value) => {
  expect(() => trip({ deep: [value] })).toThrow(
    `the value is or contains ${kind}, which cannot be sent`,
  );
});

const megabyte = new ArrayBuffer(1024 * 1024);

test.each([
  ["views of one buffer", () => Array.from({ length: 2_000 }, () => new Uint8Array(megabyte))],
  ["numbers", () => Array.from({ length: 5_000_000 }, () => 0)],
  ["a text", () => "x".repeat(40 * 1024 * 1024)],
])(
  "refuses too much before it has made it: %s",
  (_, make) => {
    const value: unknown = make();
    const stringify = vi.spyOn(JSON, "stringify");
    expect(() => trip(value)).toThrow(/^the value takes \d+ characters or more, and RPC carries/);
    expect(stringify).not.toHaveBeenCalled();
    stringify.mockRestore();
  },
  60_000,
);
