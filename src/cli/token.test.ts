import { expect, test } from "vitest";
import { isTooLittleForWrangler, readWanted } from "./token.ts";

const NOW = Date.parse("2026-11-01T00:00:00Z");
const base = { name: "ci", permission: "read" };

test("takes several permissions and namespaces, and a time to live or a date", () => {
  expect(readWanted({ ...base, permission: "read,deploy", namespace: "a,b" }, NOW)).toEqual({
    name: "ci",
    permissions: ["read", "deploy"],
    namespaces: ["a", "b"],
    expires: undefined,
  });
  expect(readWanted({ ...base, expires: "30d" }, NOW).expires).toBe("2026-12-01T00:00:00.000Z");
  expect(readWanted({ ...base, expires: "12h" }, NOW).expires).toBe("2026-11-01T12:00:00.000Z");
  expect(readWanted({ ...base, expires: "2027-01-31" }, NOW).expires).toBe(
    "2027-01-31T00:00:00.000Z",
  );
});

test.each([
  [{ permission: "read" }, "needs --name"],
  [{ name: "ci" }, "needs --permission"],
  [{ ...base, permission: "read,write" }, `got "write"`],
  [{ ...base, expires: "soon" }, `got "soon"`],
  [{ ...base, expires: "2020-01-01" }, "a date to come"],
])("refuses %j", (values, message) => {
  expect(() => readWanted(values, NOW)).toThrow(message);
});

test.each([
  [["deploy"], true],
  [["deploy", "tail"], true],
  [["read", "deploy"], false],
  [["read"], false],
])("wrangler can do nothing with %j: %j", (permissions, isTooLittle) => {
  expect(isTooLittleForWrangler(permissions)).toBe(isTooLittle);
});
