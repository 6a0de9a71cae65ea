import { describe, expect, test } from "vitest";
import { readArguments } from "./arguments.ts";
import type { Command } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { commandHelp } from "./help.ts";
import { nearest } from "./nearest.ts";

function command(name: string): Command {
  const found = COMMANDS.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`there is no command ${name}`);
  return found;
}

describe("readArguments", () => {
  test("reads values, switches and positionals", () => {
    expect(readArguments(command("start"), ["--port=0", "--data", "x"]).values).toEqual({
      port: "0",
      data: "x",
    });
    expect(readArguments(command("status"), ["--wait"]).switches).toEqual(new Set(["wait"]));
    const route = readArguments(command("route"), ["add", "a/*", "--data", "d", "ns/s"]);
    expect(route.positionals).toEqual(["add", "a/*", "ns/s"]);
  });

  test.each([
    ["start", ["--prot", "1"], "skep start: there is no option --prot; did you mean --port?"],
    ["start", ["--htps-port=1"], "did you mean --https-port?"],
    ["start", ["--frobnicate"], "skep start: there is no option --frobnicate"],
    ["start", ["-p", "1"], "skep start: there is no option -p"],
    ["start", ["--port"], "--port: needs a value, PORT"],
    ["start", ["--port", "--data"], "--port: needs a value, PORT"],
    ["start", ["now"], 'skep start: takes no argument, got "now"'],
    ["status", ["--wait=yes"], "--wait: takes no value"],
    ["status", ["--toString"], "there is no option --toString"],
  ])("refuses skep %s %j", (name, args, message) => {
    expect(() => readArguments(command(name), args)).toThrow(message);
  });
});

test.each(COMMANDS.map((each) => [each.name, each] as const))(
  "skep %s --help has every option, its placeholder and its default",
  (_, each) => {
    const help = commandHelp(each);
    for (const [name, { placeholder, help: text, default: value }] of Object.entries(
      each.options,
    )) {
      expect(help).toContain(`  --${name}${placeholder === undefined ? "" : ` ${placeholder}`} `);
      expect(help).toContain(value === undefined ? text : `${text} (default: ${value})`);
    }
  },
);

test.each([
  ["strat", "start"],
  ["stat", "status"],
  ["stauts", "status"],
  ["rotue", "route"],
  ["deploy", undefined],
  ["x", undefined],
])("nearest(%j) is %j", (word, expected) => {
  expect(nearest(word, ["start", "env", "status", "ca", "route", "stats"])).toBe(expected);
});
