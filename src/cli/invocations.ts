/** `skep invocations`: those of a function, or one with its response. */
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import { UsageError, type CommandArguments } from "./command.ts";
import { renderInvocation, summaryOf, type Invocation } from "./invocation-text.ts";
import { findPlatform } from "./running-platform.ts";
import { readTarget, TARGET } from "./script-target.ts";
import { alignColumns } from "./table.ts";

export async function invocations(args: CommandArguments, around: Surroundings): Promise<number> {
  const { values, switches, positionals } = args;
  const [word, id, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`skep invocations: expected ${TARGET} [ID]`);
  const path = `${readTarget("invocations", word).path}/invocations`;
  const platform = findPlatform(values, around);
  if (id !== undefined) {
    const found = await callApi(platform, "GET", `${path}/${encodeURIComponent(id)}`);
    const text = switches.has("json")
      ? `${JSON.stringify(found)}\n`
      : renderInvocation(found as Invocation);
    process.stdout.write(text);
    return 0;
  }
  const { status, limit } = values;
  const query = new URLSearchParams({
    ...(status !== undefined && { status }),
    ...(limit !== undefined && { limit }),
  });
  const found = await callApi(platform, "GET", `${path}?${query.toString()}`);
  const { invocations: all } = found as { readonly invocations: readonly Invocation[] };
  // The newest is read first, at the end of the terminal.
  const oldestFirst = all.toReversed();
  const lines = switches.has("json")
    ? oldestFirst.map((invocation) => JSON.stringify(invocation))
    : alignColumns(oldestFirst.map(summaryOf));
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
  return 0;
}
