/** The commands, their help and the documentation say the same. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { COMMANDS } from "./commands.ts";
import { commandHelp, overview } from "./help.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGES = ["README.md", ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`)].map(
  (page) => ({ page, text: readFileSync(join(ROOT, page), "utf8") }),
);

/** Each `skep …` in code, up to its end, with the page that it is on. */
const CALLS = PAGES.flatMap(({ page, text }) =>
  Array.from(text.matchAll(/(?:^|[`$( ])skep +([a-z]+)\b([^`#\n)]*)/gm), ([call, name, rest]) => {
    return { page, call: (call ?? "").trim(), name: name ?? "", rest: rest ?? "" };
  }),
);
/** In prose, without a command. */
const NO_COMMAND = ["testing"];

describe.each(COMMANDS)("skep $name", (command) => {
  test("has help for itself and each option", () => {
    const { name, summary, forms = [], options } = command;
    expect(overview(COMMANDS)).toContain(`  ${name} `);
    expect(summary).toMatch(/^[A-Z].*[^.]$/);
    const text = commandHelp(command);
    for (const form of forms) expect(text).toContain(`skep ${name} ${form}`);
    for (const [option, { help }] of Object.entries(options)) {
      expect(help, option).not.toBe("");
      expect(text).toMatch(
        new RegExp(`^  --${option}\\b.* ${help.slice(0, 5).replace(/\W/g, ".")}`, "m"),
      );
    }
    expect(options).toHaveProperty("help");
  });

  test("is in the documentation", () => {
    expect(CALLS.map(({ name }) => name)).toContain(command.name);
  });
});

test("the documentation names no command and no option that there is not", () => {
  const wrong = CALLS.filter(({ name, rest }) => {
    const command = COMMANDS.find((each) => each.name === name);
    if (command === undefined) return !NO_COMMAND.includes(name);
    const options = Array.from(rest.matchAll(/ --([a-z-]+)/g), ([, option]) => option ?? "");
    return options.some((option) => !Object.hasOwn(command.options, option));
  });
  expect(wrong.map(({ page, call }) => `${page}: ${call}`)).toEqual([]);
});
