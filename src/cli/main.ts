/** The `skep` command: finds the command, prints its help, turns what it throws into an exit code. */
import { StartError } from "../supervisor/start-error.ts";
import { readArguments } from "./arguments.ts";
import { CommandError, UsageError, type Command } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { commandHelp, overview } from "./help.ts";
import { nearest } from "./nearest.ts";

const FAILED = 1;
const WRONG_USAGE = 2;

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    process.stdout.write(overview(COMMANDS));
    return name === undefined ? WRONG_USAGE : 0;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) throw unknownCommand(name);
  if (rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(commandHelp(command));
    return 0;
  }
  return command.run(readArguments(command, rest));
}

function unknownCommand(name: string): UsageError {
  const names = COMMANDS.map((command: Command) => command.name);
  const suggestion = nearest(name, names);
  const hint = suggestion === undefined ? "" : `; did you mean ${suggestion}?`;
  return new UsageError(`skep: there is no command ${JSON.stringify(name)}${hint}`);
}

function report(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n"skep --help" lists the commands.\n`);
    return WRONG_USAGE;
  }
  if ((error as NodeJS.ErrnoException).code === "ERR_UNKNOWN_BUILTIN_MODULE") {
    process.stderr.write(
      `this needs Node 22.13 or newer, and runs with ${process.version}; npx skep takes the Node that Skep brings with it\n`,
    );
    return FAILED;
  }
  const expected = error instanceof StartError || error instanceof CommandError;
  const text = expected ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  return FAILED;
}

// Whoever reads our output may stop early (`skep route list | head -1`).
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});

// Not process.exit where it can be avoided: it would cut off output that is still on its way.
process.exitCode = await main(process.argv.slice(2)).catch(report);
