/** `skep logs`: searches the logs that are kept of a function. */
import type { TraceEvent } from "../protocol/trace.ts";
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import { UsageError, type CommandArguments } from "./command.ts";
import { findPlatform } from "./running-platform.ts";
import { readTarget, TARGET } from "./script-target.ts";
import { formatOf } from "./tail.ts";
import { traceLines } from "./trace-text.ts";

const FOLLOW_MS = 1_000;
/** Of one answer of the API. */
const MAX_EVENTS = 1_000;

interface Page {
  readonly events: readonly (TraceEvent & { readonly id: number })[];
  readonly cursor: string | null;
}

export async function logs(args: CommandArguments, around: Surroundings): Promise<number> {
  const [word, ...rest] = args.positionals;
  if (rest.length > 0) throw new UsageError(`skep logs: expected ${TARGET}`);
  const target = readTarget("logs", word);
  const isJson = formatOf(args) === "json";
  const { since, until, grep, outcome, version, limit } = args.values;
  const path = `${target.path}/logs`;
  const read = async (wanted: Readonly<Record<string, string | undefined>>): Promise<Page> => {
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
    const query = new URLSearchParams(given as [string, string][]).toString();
    // Found anew each time: while it is followed, the platform may restart on another port.
    return (await callApi(findPlatform(args.values, around), "GET", `${path}?${query}`)) as Page;
  };
  // The newest is read first, at the end of the terminal.
  const print = (events: readonly TraceEvent[]) => {
    for (const event of events.toReversed()) {
      const lines = isJson ? [JSON.stringify(event)] : traceLines(event);
      process.stdout.write(`${lines.join("\n")}\n`);
    }
  };
  const filters = { grep, outcome, version };
  const first = await read({ since, until, ...filters, limit });
  print(first.events);
  if (!args.switches.has("follow")) return 0;
  let seen = newestOf(first, 0);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    // An event is stored when its invocation has ended, which may be long after it began.
    const page = await read({ since: "1h", ...filters, limit: String(MAX_EVENTS) });
    print(page.events.filter(({ id }) => id > seen));
    seen = newestOf(page, seen);
  }
}

function newestOf({ events }: Page, before: number): number {
  return events.reduce((newest, { id }) => Math.max(newest, id), before);
}
