/** What each command of `skep` declares; its help and the reading of its arguments follow from it. */
export interface CommandOption {
  /** What stands for the value in help texts; undefined: a switch without a value. */
  readonly placeholder?: string;
  readonly help: string;
  readonly default?: string;
}

export interface CommandArguments {
  /** Values by option name, defaults not filled in. */
  readonly values: Readonly<Record<string, string | undefined>>;
  readonly switches: ReadonlySet<string>;
  readonly positionals: readonly string[];
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** The words that follow the name, such as `add PATTERN NAMESPACE/SCRIPT`; one line per form. */
  readonly forms?: readonly string[];
  readonly options: Readonly<Record<string, CommandOption>>;
  /** Resolves with the exit code. Imported late: `skep env` need not load what `skep start` needs. */
  readonly run: (args: CommandArguments) => Promise<number>;
}

/** The command line is wrong. Shown with the way to the help. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The command was right, but cannot be done now. Shown as one sentence. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}
