/** `skep versions`, `skep deployments`, `skep rollback`: what of a Worker was uploaded, and what gets its traffic. */
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import { CommandError, UsageError, type CommandArguments } from "./command.ts";
import { findPlatform, type RunningPlatform } from "./running-platform.ts";
import { readTarget, TARGET, type ScriptTarget } from "./script-target.ts";
import { alignColumns } from "./table.ts";

interface Version {
  readonly id: string;
  readonly number: number;
  readonly metadata: { readonly created_on: string; readonly source: string };
  readonly annotations?: Annotations;
}

interface Deployment {
  readonly created_on: string;
  readonly source: string;
  readonly author_email: string;
  readonly annotations?: Annotations;
  readonly versions: readonly { readonly version_id: string; readonly percentage: number }[];
}

type Annotations = Readonly<Record<string, string | undefined>>;

export async function versions(args: CommandArguments, around: Surroundings): Promise<number> {
  const target = onlyTarget("versions", args);
  const platform = findPlatform(args.values, around);
  const found = await listVersions(platform, target);
  const [inForce] = await listDeployments(platform, target);
  const shares = new Map(inForce?.versions.map((each) => [each.version_id, each.percentage]));
  const rows = found.map(({ id, number, metadata, annotations = {} }) => [
    id,
    String(number),
    metadata.created_on,
    metadata.source,
    shares.has(id) ? `${shares.get(id)} %` : "-",
    annotations["workers/tag"] ?? "",
    annotations["workers/message"] ?? "",
  ]);
  print([["version", "number", "uploaded", "with", "traffic", "tag", "message"], ...rows]);
  return 0;
}

export async function deployments(args: CommandArguments, around: Surroundings): Promise<number> {
  const target = onlyTarget("deployments", args);
  const found = await listDeployments(findPlatform(args.values, around), target);
  const rows = found.map((each) => [
    each.created_on,
    each.source,
    each.author_email,
    each.versions.map(({ version_id: id, percentage }) => `${percentage} % ${id}`).join(", "),
    each.annotations?.["workers/message"] ?? "",
  ]);
  print([["deployed", "with", "by", "versions", "message"], ...rows]);
  return 0;
}

/** Without a version: the one that had all traffic before. */
export async function rollback(args: CommandArguments, around: Surroundings): Promise<number> {
  const [word, wanted, ...more] = args.positionals;
  if (more.length > 0) throw new UsageError(`skep rollback: expected ${TARGET} [VERSION]`);
  const target = readTarget("rollback", word);
  const platform = findPlatform(args.values, around);
  const history = await listDeployments(platform, target);
  const version =
    wanted === undefined
      ? versionBefore(target, history)
      : (await findVersion(platform, target, wanted)).id;
  const message = args.values["message"] ?? `Rollback to ${version}`;
  // By force: secrets go back with the version, which is what a rollback is.
  await callApi(platform, "POST", `${target.path}/deployments?force=true`, {
    strategy: "percentage",
    versions: [{ version_id: version, percentage: 100 }],
    annotations: { "workers/message": message },
  });
  tellOfRollout(target, history[0]);
  process.stdout.write(`${target.name}: ${version} has all traffic\n`);
  return 0;
}

/** Says so if a deployment ended a rollout; `before` is the one that was in force. */
export function tellOfRollout({ name }: ScriptTarget, before: Deployment | undefined): void {
  if (before?.source !== "rollout" || before.versions.length < 2) return;
  process.stdout.write(`The rollout of ${name} that was under way has ended.\n`);
}

/** By its id or the beginning of it. @throws CommandError */
export async function findVersion(
  platform: RunningPlatform,
  target: ScriptTarget,
  wanted: string,
): Promise<Version> {
  const found = (await listVersions(platform, target)).filter(({ id }) => id.startsWith(wanted));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const why =
    found.length === 0
      ? `no version begins with ${JSON.stringify(wanted)}; "skep versions ${target.name}" lists them`
      : `${found.length} versions begin with ${JSON.stringify(wanted)}: ${found.map(({ id }) => id).join(", ")}`;
  throw new CommandError(`${target.name}: ${why}`);
}

function versionBefore({ name }: ScriptTarget, history: readonly Deployment[]): string {
  const [inForce, ...before] = history;
  const now = new Set(inForce?.versions.map(({ version_id: id }) => id));
  // Of a deployment that is shared, the version that the one before it had goes back to all.
  const isShared = now.size > 1;
  for (const {
    versions: [only, ...others],
  } of before) {
    if (only === undefined || others.length > 0) continue;
    if (isShared || !now.has(only.version_id)) return only.version_id;
  }
  throw new CommandError(
    `${name}: no version had all traffic before, as far as is known; say which one is meant`,
  );
}

async function listVersions(platform: RunningPlatform, { path }: ScriptTarget) {
  const result = await callApi(platform, "GET", `${path}/versions?per_page=100`);
  return (result as { readonly items: readonly Version[] }).items;
}

/** Newest first; the first is in force. */
export async function listDeployments(
  platform: RunningPlatform,
  { path }: ScriptTarget,
): Promise<readonly Deployment[]> {
  const result = await callApi(platform, "GET", `${path}/deployments?per_page=100`);
  return (result as { readonly deployments: readonly Deployment[] }).deployments;
}

function onlyTarget(command: string, { positionals }: CommandArguments): ScriptTarget {
  const [word, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`skep ${command}: expected ${TARGET}`);
  return readTarget(command, word);
}

function print(rows: readonly (readonly string[])[]): void {
  process.stdout.write(`${alignColumns(rows).join("\n")}\n`);
}
