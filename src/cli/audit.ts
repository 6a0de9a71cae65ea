/** `skep audit`: who changed what through the API. */
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import type { CommandArguments } from "./command.ts";
import { findPlatform } from "./running-platform.ts";
import { alignColumns } from "./table.ts";

interface AuditResult {
  readonly when: string;
  readonly action: { readonly type: string };
  readonly actor: { readonly id: string; readonly email: string; readonly ip: string };
  readonly resource: { readonly id: string };
  readonly oldValueJson: Readonly<Record<string, unknown>> | null;
  readonly newValueJson: Readonly<Record<string, unknown>> | null;
}

export async function audit(args: CommandArguments, around: Surroundings): Promise<number> {
  const { since, target, limit } = args.values;
  const query = new URLSearchParams({
    per_page: limit ?? "100",
    ...(since !== undefined && { since }),
    ...(target !== undefined && { target }),
  });
  const found = (await callApi(
    findPlatform(args.values, around),
    "GET",
    `/audit_logs?${query.toString()}`,
  )) as readonly AuditResult[];
  // The newest is read first, at the end of the terminal.
  const entries = found.toReversed();
  const lines = args.switches.has("json")
    ? entries.map((entry) => JSON.stringify(entry))
    : alignColumns(entries.map(toRow));
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
  return 0;
}

function toRow(entry: AuditResult): string[] {
  const { when, actor, action, resource } = entry;
  return [when, actor.email, actor.ip || "-", action.type, resource.id, changes(entry)];
}

/** Names of what differs; --json has the values. */
function changes({ oldValueJson: before, newValueJson: after }: AuditResult): string {
  if (before === null && after !== null) return "new";
  if (before !== null && after === null) return "gone";
  return [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])].join(", ");
}
