import { expect, test } from "vitest";
import { UsageError } from "./command.ts";
import { readTarget, readTargetOrNamespace } from "./script-target.ts";

const USER_WORKER = "/workers/dispatch/namespaces/production/scripts/shop";
const ACCOUNT_WORKER = "/workers/scripts/shop";

test.each([
  ["production/shop", "production/shop", USER_WORKER],
  ["shop", "shop", ACCOUNT_WORKER],
  ["/shop", "shop", ACCOUNT_WORKER],
])("%s is a Worker", (word, name, path) => {
  expect(readTarget("versions", word)).toEqual({ name, path });
});

test.each([
  ["production", "/workers/dispatch/namespaces/production"],
  ["production/shop", USER_WORKER],
  ["/shop", ACCOUNT_WORKER],
])("%s is a Worker or a namespace", (word, path) => {
  expect(readTargetOrNamespace("tail", word)).toBe(path);
});

test.each([undefined, "", "/", "production/", "a/b/c"])("%j is neither", (word) => {
  expect(() => readTarget("versions", word)).toThrow(UsageError);
  expect(() => readTargetOrNamespace("tail", word)).toThrow(UsageError);
});
