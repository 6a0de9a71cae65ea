/**
 * `skep secret`: secrets of a Worker. Values come from standard input or a prompt, never from the command line,
 * which other users of the machine can read.
 */
import { readFile } from "node:fs/promises";
import type { Surroundings } from "../supervisor/config.ts";
import { expectWords, findAction, type Action } from "./actions.ts";
import { callApi } from "./api-client.ts";
import { CommandError, UsageError, type CommandArguments } from "./command.ts";
import { readInput, readSecretLine } from "./read-input.ts";
import { findPlatform } from "./running-platform.ts";
import { readTarget, TARGET } from "./script-target.ts";

export async function secret(args: CommandArguments, around: Surroundings): Promise<number> {
  const { run, words } = findAction("secret", ACTIONS, args);
  process.stdout.write(await run(words, () => findPlatform(args.values, around)));
  return 0;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  async list(words, platform) {
    const [word] = expectWords("secret list", words, [TARGET]);
    const { path } = readTarget("secret list", word);
    const found = await callApi(platform(), "GET", `${path}/secrets`);
    return (found as readonly { name: string }[]).map(({ name }) => `${name}\n`).join("");
  },
  async put(words, platform) {
    if (words.length > 2) {
      throw new UsageError(
        `skep secret put: expected ${TARGET} NAME; the value comes from standard input or a prompt`,
      );
    }
    const [word, name = ""] = expectWords("secret put", words, [TARGET, "NAME"]);
    const target = readTarget("secret put", word);
    const running = platform();
    const text = await readSecretLine(`${name}: `);
    await callApi(running, "PUT", `${target.path}/secrets`, { name, text, type: "secret_text" });
    return `${target.name}: ${name} is set\n`;
  },
  async delete(words, platform) {
    const [word, name = ""] = expectWords("secret delete", words, [TARGET, "NAME"]);
    const target = readTarget("secret delete", word);
    await callApi(platform(), "DELETE", `${target.path}/secrets/${encodeURIComponent(name)}`);
    return `${target.name}: ${name} is deleted\n`;
  },
  async bulk([word, file, ...more], platform) {
    if (more.length > 0) throw new UsageError(`skep secret bulk: expected ${TARGET} [FILE]`);
    const target = readTarget("secret bulk", word);
    const text = file === undefined ? await readInput() : await readFile(file, "utf8");
    const values = readBulk(file ?? "standard input", text);
    const secrets = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        value === null ? null : { name, text: value, type: "secret_text" },
      ]),
    );
    await callApi(platform(), "PATCH", `${target.path}/secrets-bulk`, { secrets });
    return `${target.name}: ${Object.keys(values).length} secrets are changed\n`;
  },
};

/** JSON of name -> value, null to delete. Messages never repeat a value. */
function readBulk(source: string, text: string): Record<string, string | null> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    // The parser's message quotes what it read.
    throw new CommandError(`${source}: expected JSON such as {"NAME": "value"}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new CommandError(`${source}: expected a JSON object such as {"NAME": "value"}`);
  }
  for (const [name, value] of Object.entries(parsed)) {
    if (typeof value === "string" || value === null) continue;
    throw new CommandError(`${source}: ${name}: expected a string, or null to delete it`);
  }
  return parsed as Record<string, string | null>;
}
