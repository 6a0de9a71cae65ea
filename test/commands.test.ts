/**
 * Commands of wrangler for what the platform does not have end with a clear message: every one that the table
 * calls refused, or empty, is run. One platform for the file.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import wranglerPackage from "wrangler/package.json" with { type: "json" };
import { COMMANDS } from "./configuration/commands.ts";
import { startPlatform, type Platform } from "./platform.ts";
import { createProject, wrangler } from "./wrangler.ts";

let platform: Platform;
let directory: string;

beforeAll(async () => {
  platform = await startPlatform();
  directory = await createProject({
    "wrangler.toml": `name = "nobody"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n[previews]\n`,
    "index.js": "export default { fetch: () => new Response() };",
  });
});

afterAll(async () => {
  await platform.stop();
});

/** What wrangler prints when it did not expect an answer, threw, or was called in a wrong way. */
const CONFUSED = /malformed response|^\s+at .*:\d+:\d+\)?$|Unknown argument|Not enough non-option/m;

describe(`wrangler ${wranglerPackage.version}`, { concurrent: true, timeout: 180_000 }, () => {
  const tries = COMMANDS.flatMap(({ tries = [], verdict, says = "" }) =>
    tries.map((line) => [line, verdict, says] as const),
  );
  test.for(tries)("%s is %s", async ([line, verdict, says], { expect }) => {
    const { exitCode, output } = await wrangler(
      directory,
      platform.wranglerEnv,
      ...line.split(" "),
    );
    expect(output).toContain(says);
    expect(output).not.toMatch(CONFUSED);
    expect(exitCode, output).toBe(verdict === "refused" ? 1 : 0);
  });
});

test("the table has every command that wrangler lists", async () => {
  const { output } = await wrangler(directory, platform.wranglerEnv, "--help");
  const listed = [...output.matchAll(/^ {2}wrangler (\S+) /gm)].map(([, name]) => name);
  expect(listed.length).toBeGreaterThan(40);
  const named = COMMANDS.flatMap(({ commands }) => commands.map((name) => name.split(" ")[0]));
  expect(listed.filter((name) => !named.includes(name))).toEqual([]);
});
