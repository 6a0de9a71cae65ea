/** Reads standard input: as a whole, or one secret value, for which a terminal is asked without an echo. */
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { CommandError } from "./command.ts";

export function readInput(): Promise<string> {
  return text(process.stdin);
}

/** Without the line end that shells and editors add. @throws CommandError if there is none */
export async function readSecretLine(prompt: string): Promise<string> {
  const value = process.stdin.isTTY ? await ask(prompt) : await readInput();
  const line = value.replace(/\r?\n$/, "");
  if (line !== "") return line;
  throw new CommandError(`${prompt}the value is empty; pipe it in, or type it when asked`);
}

async function ask(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: silence, terminal: true });
  try {
    return await terminal.question("");
  } finally {
    terminal.close();
    process.stderr.write("\n");
  }
}
