/**
 * `skep deploy`: deploys a wrangler project, or a file with one ES module, into a namespace or outside of one. With
 * --canary the version is uploaded, and the hub gives it the traffic in steps.
 */
import { readFile, stat } from "node:fs/promises";
import { basename, extname, resolve } from "node:path";
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import { CommandError, UsageError, type CommandArguments } from "./command.ts";
import { readRolloutOptions, ROLLOUT_OPTIONS } from "./rollout-options.ts";
import { show, startRollout } from "./rollout.ts";
import { findPlatform, type RunningPlatform, type Values } from "./running-platform.ts";
import { scriptTarget, type ScriptTarget } from "./script-target.ts";
import { uploadOnly } from "./upload-only.ts";
import { listDeployments, tellOfRollout } from "./versions.ts";
import { setSchedules } from "./schedules.ts";
import { configuredCrons, isWranglerProject, runWrangler } from "./wrangler-project.ts";

/** Of a file, which says nothing of it. */
const COMPATIBILITY_DATE = "2026-11-01";

interface Uploaded {
  readonly target: ScriptTarget;
  readonly versionId: string;
}

export async function deploy(args: CommandArguments, around: Surroundings): Promise<number> {
  const [word, ...more] = args.positionals;
  if (word === undefined || more.length > 0) {
    throw new UsageError(
      "skep deploy: expected a directory with a wrangler configuration, or a file",
    );
  }
  const { values } = args;
  const canary = values["canary"];
  const rollout = canary === undefined ? null : readRolloutOptions("deploy", canary, values);
  if (rollout === null) refuseRolloutOptions(values);
  const path = resolve(word);
  const isDirectory = await isDirectoryAt(path);
  if (!isDirectory && values["env"] !== undefined) {
    throw new UsageError("skep deploy: --env: only a wrangler configuration has environments");
  }
  const platform = findPlatform(values, around);
  const upload = isDirectory ? deployProject : deployFile;
  const uploaded = await upload(path, values, platform, rollout === null);
  const { target, versionId } = uploaded;
  if (rollout === null) {
    const [, before] = await listDeployments(platform, target);
    tellOfRollout(target, before);
    return 0;
  }
  const started = await startRollout(platform, target, { ...rollout, version_id: versionId }).catch(
    (error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      throw new CommandError(
        `${error.message}\n${target.name}: ${versionId} is uploaded and gets no traffic; "skep rollout start ${target.name} ${versionId} --canary ${canary}" tries again`,
      );
    },
  );
  process.stdout.write(show(target, started));
  process.stdout.write(
    `The platform goes on with it; "skep rollout status ${target.name}" shows it.\n`,
  );
  return 0;
}

function refuseRolloutOptions(values: Values): void {
  const given = Object.keys(ROLLOUT_OPTIONS).find((name) => values[name] !== undefined);
  if (given !== undefined) throw new UsageError(`skep deploy: --${given}: needs --canary`);
}

/** `isDeploy` false: uploads a version only. */
async function deployProject(
  directory: string,
  { namespace, name, env }: Values,
  platform: RunningPlatform,
  isDeploy: boolean,
): Promise<Uploaded> {
  if (!isWranglerProject(directory)) {
    throw new CommandError(
      `${directory} has no wrangler.toml, wrangler.json or wrangler.jsonc; name the file with the module instead`,
    );
  }
  const { apiUrl } = platform.state;
  const options = [
    ...(name === undefined ? [] : ["--name", name]),
    ...(env === undefined ? [] : ["--env", env]),
  ];
  const run = (baseUrl: string, ...command: string[]) =>
    runWrangler(directory, platform, baseUrl, [...command, ...options]);
  if (namespace !== undefined && !isDeploy) {
    const [version] = await uploadOnly(apiUrl, async (baseUrl) => {
      await run(baseUrl, "deploy", "--dispatch-namespace", namespace);
    });
    const uploaded = uploadedBy(namespace, version?.script, version?.versionId);
    const crons = await configuredCrons(directory, env);
    if (crons !== undefined) process.stdout.write(schedulesStay(uploaded.target, crons));
    return uploaded;
  }
  const command =
    namespace !== undefined
      ? ["deploy", "--dispatch-namespace", namespace]
      : isDeploy
        ? ["deploy"]
        : ["versions", "upload"];
  const report = (await run(apiUrl, ...command)).find(({ type }) =>
    ["deploy", "version-upload"].includes(type),
  );
  const uploaded = uploadedBy(namespace, report?.worker_name, report?.version_id);
  if (namespace !== undefined) await deploySchedules(platform, uploaded.target, directory, env);
  return uploaded;
}

/** wrangler warns that it ignores them. Without `triggers.crons` they stay as they are, as with wrangler. */
async function deploySchedules(
  platform: RunningPlatform,
  target: ScriptTarget,
  directory: string,
  env: string | undefined,
): Promise<void> {
  try {
    const crons = await configuredCrons(directory, env);
    if (crons === undefined) return;
    process.stdout.write(
      `skep sets the schedules:\n${await setSchedules(platform, target, crons)}`,
    );
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(
      `${error.message}\n${target.name} is deployed; its schedules are as they were before. Mend triggers.crons and deploy again, or: skep schedules set ${target.name} <cron>...`,
      { cause: error.cause },
    );
  }
}

/** They are the script's and not the version's. */
function schedulesStay({ name }: ScriptTarget, crons: readonly string[]): string {
  const words = [name, ...crons.map((cron) => `'${cron}'`)].join(" ");
  return `${name}: its schedules are as they were before; for those of the configuration: skep schedules set ${words}\n`;
}

function uploadedBy(
  namespace: string | undefined,
  script: string | null | undefined,
  versionId: string | null | undefined,
): Uploaded {
  if (!script || !versionId)
    throw new CommandError("wrangler does not tell which version it uploaded");
  return { target: scriptTarget(namespace ?? null, script), versionId };
}

async function deployFile(
  file: string,
  { namespace, name = basename(file, extname(file)) }: Values,
  platform: RunningPlatform,
  isDeploy: boolean,
): Promise<Uploaded> {
  const target = scriptTarget(namespace ?? null, name);
  const form = new FormData();
  const module = basename(file);
  const metadata = { main_module: module, compatibility_date: COMPATIBILITY_DATE };
  form.set("metadata", JSON.stringify(metadata));
  const type = "application/javascript+module";
  form.set(module, new File([await readFile(file)], module, { type }));
  const result = isDeploy
    ? await callApi(platform, "PUT", target.path, form)
    : await callApi(platform, "POST", `${target.path}/versions`, form);
  const { id, deployment_id: deployed } = result as { id: string; deployment_id?: string };
  const versionId = isDeploy ? (deployed ?? "") : id;
  if (isDeploy) process.stdout.write(`${target.name}: ${versionId} has all traffic\n`);
  return { target, versionId };
}

async function isDirectoryAt(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw new CommandError(`${path} cannot be read`, { cause: error });
  }
}
