import { expect, test } from "vitest";
import { UsageError } from "./command.ts";
import { readArguments } from "./arguments.ts";
import { COMMANDS } from "./commands.ts";
import { readNamespace, readTarget, readTargetOrNamespace } from "./script-target.ts";

function argumentsOf(name: string, words: readonly string[]) {
  const command = COMMANDS.find((each) => each.name === name);
  if (command === undefined) throw new Error(`there is no command ${name}`);
  return readArguments(command, words);
}

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

test.each([
  [["--account"], "/workers"],
  [[], "/workers/dispatch/namespaces/production"],
  [["--namespace", "staging"], "/workers/dispatch/namespaces/staging"],
])("%j is what is shown of the platform", (words, path) => {
  expect(readNamespace("stats", argumentsOf("stats", words))).toBe(path);
});

test("one of a namespace and the account is shown", () => {
  const both = argumentsOf("events", ["--account", "--namespace", "staging"]);
  expect(() => readNamespace("events", both)).toThrow(UsageError);
});

test.each([undefined, "", "/", "production/", "a/b/c"])("%j is neither", (word) => {
  expect(() => readTarget("versions", word)).toThrow(UsageError);
  expect(() => readTargetOrNamespace("tail", word)).toThrow(UsageError);
});
