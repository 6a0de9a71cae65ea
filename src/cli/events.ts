/** `skep events`: what befell processes, and what became of the trust in functions. */
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import type { CommandArguments } from "./command.ts";
import { findPlatform } from "./running-platform.ts";
import { readNamespace } from "./script-target.ts";
import { alignColumns } from "./table.ts";

interface EventResult {
  readonly at: string;
  readonly kind: string;
  readonly script: string | null;
  readonly process: string | null;
  readonly detail: string;
}

export async function events(args: CommandArguments, around: Surroundings): Promise<number> {
  const { script, since, limit } = args.values;
  const query = new URLSearchParams({
    ...(script !== undefined && { script }),
    ...(since !== undefined && { since }),
    ...(limit !== undefined && { limit }),
  });
  const path = `${readNamespace("events", args)}/events`;
  const found = (await callApi(
    findPlatform(args.values, around),
    "GET",
    `${path}?${query.toString()}`,
  )) as readonly EventResult[];
  // The newest is read first, at the end of the terminal.
  const rows = found.toReversed().map(renderEvent);
  process.stdout.write(
    alignColumns(rows)
      .map((line) => `${line}\n`)
      .join(""),
  );
  return 0;
}

function renderEvent({ at, kind, script, process, detail }: EventResult): string[] {
  return [at, kind, script ?? process ?? "-", detail];
}
