/** Help texts, made from what the commands declare. */
import type { Command, CommandOption } from "./command.ts";

export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "Self-hosted Workers for Platforms.",
    "",
    "Usage: skep COMMAND [OPTIONS]",
    "",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "skep COMMAND --help lists the options of a command.",
    "",
  ].join("\n");
}

export function commandHelp({ name, summary, forms = [""], options }: Command): string {
  const usage = forms.map((form) => ["skep", name, form, "[OPTIONS]"].filter(Boolean).join(" "));
  const left = Object.entries(options).map(([option, { placeholder }]) =>
    placeholder === undefined ? `--${option}` : `--${option} ${placeholder}`,
  );
  const width = Math.max(...left.map((text) => text.length));
  return [
    `${summary}.`,
    "",
    ...usage.map((line, index) => `${index === 0 ? "Usage: " : "       "}${line}`),
    "",
    ...Object.values(options).map(
      (option, index) => `  ${left[index]?.padEnd(width)}  ${explain(option)}`,
    ),
    "",
  ].join("\n");
}

function explain({ help, default: value }: CommandOption): string {
  return value === undefined ? help : `${help} (default: ${value})`;
}
