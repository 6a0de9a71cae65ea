/** `skep schedules`: when a function runs by its Cron Triggers, and how that went; or sets them. */
import type { Surroundings } from "../supervisor/config.ts";
import { expectWords, findAction, type Action } from "./actions.ts";
import { callApi } from "./api-client.ts";
import type { CommandArguments } from "./command.ts";
import { findPlatform, type RunningPlatform } from "./running-platform.ts";
import { readTarget, TARGET, type ScriptTarget } from "./script-target.ts";
import { alignColumns } from "./table.ts";

interface Report {
  readonly next: readonly { readonly cron: string; readonly scheduled_time: string }[];
  readonly runs: readonly {
    readonly cron: string;
    readonly scheduled_time: string;
    readonly missed_since: string | null;
    readonly state: string;
    readonly late: boolean;
    readonly attempts: number;
    readonly outcome: string | null;
    readonly error: string | null;
  }[];
}

export async function schedules(args: CommandArguments, around: Surroundings): Promise<number> {
  const { run, words } = findAction("schedules", ACTIONS, args);
  process.stdout.write(await run(words, () => findPlatform(args.values, around)));
  return 0;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  async list(words, platform) {
    const [word] = expectWords("schedules list", words, [TARGET]);
    const { path, name } = readTarget("schedules list", word);
    const { runs, next } = (await callApi(platform(), "GET", `${path}/schedules/runs`)) as Report;
    const past = runs.toReversed().map(lineOf);
    const coming = next.map(({ cron, scheduled_time: at }) => [at, cron, "next"]);
    const lines = [...past, ...coming];
    return lines.length === 0 ? `${name}: no schedules\n` : text(lines);
  },
  async set([word, ...crons], platform) {
    const target = readTarget("schedules set", word);
    return setSchedules(platform(), target, crons);
  },
};

/** In place of those that there are. Returns what to print. */
export async function setSchedules(
  platform: RunningPlatform,
  { path, name }: ScriptTarget,
  crons: readonly string[],
): Promise<string> {
  const body = crons.map((cron) => ({ cron }));
  await callApi(platform, "PUT", `${path}/schedules`, body);
  const lines = crons.map((cron) => `${name}: ${cron}\n`).join("");
  return crons.length === 0 ? `${name}: no schedules\n` : lines;
}

function lineOf(run: Report["runs"][number]): string[] {
  const remarks = [
    ...(run.late ? ["late"] : []),
    ...(run.missed_since === null ? [] : [`for all since ${run.missed_since}`]),
    ...(run.attempts > 1 ? [`${run.attempts} tries`] : []),
    ...(run.error === null ? [] : [run.error]),
  ];
  return [run.scheduled_time, run.cron, run.outcome ?? run.state, remarks.join("; ")];
}

function text(rows: readonly (readonly string[])[]): string {
  return alignColumns(rows)
    .map((line) => `${line}\n`)
    .join("");
}
