/** Commands whose first word says what to do: `skep route add ...`. */
import { UsageError, type CommandArguments } from "./command.ts";
import { nearest } from "./nearest.ts";
import type { RunningPlatform } from "./running-platform.ts";

/** Returns what to print. `platform` is called once the words were checked. */
export type Action = (words: readonly string[], platform: () => RunningPlatform) => Promise<string>;

/** Without a word it is the first of `actions`. */
export function findAction(
  command: string,
  actions: Readonly<Record<string, Action>>,
  { positionals }: CommandArguments,
): { readonly run: Action; readonly words: readonly string[] } {
  const names = Object.keys(actions);
  const [name = names[0] ?? "", ...words] = positionals;
  const run = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (run !== undefined) return { run, words };
  const suggestion = nearest(name, names);
  const hint = suggestion === undefined ? "" : `; did you mean ${suggestion}?`;
  const expected = `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
  throw new UsageError(`skep ${command}: expected ${expected}, got ${JSON.stringify(name)}${hint}`);
}

/** @param command With the action, for the message. */
export function expectWords(
  command: string,
  words: readonly string[],
  expected: readonly string[],
): readonly string[] {
  if (words.length === expected.length) return words;
  throw new UsageError(`skep ${command}: expected ${expected.join(" ") || "no arguments"}`);
}
