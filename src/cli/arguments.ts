/** Reads a command's arguments. Nothing is ignored: what is not declared is refused, with a suggestion. */
import { parseArgs } from "node:util";
import { UsageError, type Command, type CommandArguments } from "./command.ts";
import { nearest } from "./nearest.ts";

/** @throws UsageError */
export function readArguments(
  { name, options, forms }: Command,
  args: readonly string[],
): CommandArguments {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(options).map(([option, { placeholder }]) => [
        option,
        { type: placeholder === undefined ? ("boolean" as const) : ("string" as const) },
      ]),
    ),
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const values: Record<string, string> = {};
  const switches = new Set<string>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) throw unknownOption(name, token.rawName, Object.keys(options));
    if (option.placeholder === undefined) {
      if (token.value !== undefined) throw new UsageError(`--${token.name}: takes no value`);
      switches.add(token.name);
    } else {
      // The next option is not a value; one that does begin with a hyphen is given as --name=-value.
      const isNextOption = token.inlineValue === false && token.value.startsWith("-");
      if (token.value === undefined || isNextOption) {
        throw new UsageError(`--${token.name}: needs a value, ${option.placeholder}`);
      }
      values[token.name] = token.value;
    }
  }
  if (forms === undefined && positionals.length > 0) {
    throw new UsageError(`skep ${name}: takes no argument, got ${JSON.stringify(positionals[0])}`);
  }
  return { values, switches, positionals };
}

function unknownOption(command: string, rawName: string, known: readonly string[]): UsageError {
  const suggestion = nearest(rawName.replace(/^-+/, ""), known);
  const hint = suggestion === undefined ? "" : `; did you mean --${suggestion}?`;
  return new UsageError(`skep ${command}: there is no option ${rawName}${hint}`);
}
