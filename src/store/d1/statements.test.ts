import { expect, test } from "vitest";
import { isBlank, isReading, splitStatements } from "./statements.ts";

test("comments and spaces are nothing to run", () => {
  expect(isBlank("\n -- a\r\n\t--b\n\n")).toBe(true);
  expect(isBlank("-- a\nSELECT 1")).toBe(false);
  expect(isBlank("SELECT 1 -- a")).toBe(false);
});

test("empty lines cost no more than others", () => {
  // Else this takes minutes.
  expect(splitStatements("\n".repeat(1_000_000))).toEqual([]);
});

test("what begins with reading may go on with writing", () => {
  expect(isReading("SELECT 1; INSERT INTO t VALUES (1)")).toBe(false);
  expect(isReading("WITH a AS (SELECT 1) DELETE FROM t")).toBe(false);
  expect(isReading(" SELECT 1 ;\n")).toBe(true);
});
