/** `skep invoke`: calls a function by the API, and shows its response; or stores the call, to be made in the background. */
import { readFile } from "node:fs/promises";
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import { CommandError, UsageError, type CommandArguments } from "./command.ts";
import { renderInvocation, type Invocation } from "./invocation-text.ts";
import { findPlatform } from "./running-platform.ts";
import { readTarget, TARGET } from "./script-target.ts";

interface DryRun {
  readonly type: "DryRun";
  readonly version_id: string;
}

export async function invoke(args: CommandArguments, around: Surroundings): Promise<number> {
  const { values, switches, positionals } = args;
  const [word, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`skep invoke: expected ${TARGET}`);
  const target = readTarget("invoke", word);
  const type = switches.has("dry-run") ? "DryRun" : switches.has("event") ? "Event" : null;
  const { key, r2 } = values;
  const contentType = values["content-type"] ?? "application/json";
  const headers = {
    "invocation-type": type ?? "RequestResponse",
    ...(r2 === undefined
      ? { "content-type": contentType }
      : { "invocation-payload": `r2://${r2}` }),
    ...(key !== undefined && { "idempotency-key": key }),
  };
  const payload = await readPayload(values);
  const platform = findPlatform(values, around);
  const found = await callApi(platform, "POST", `${target.path}/invocations`, payload, headers);
  if (type === "DryRun") {
    const { version_id: version } = found as DryRun;
    process.stdout.write(`${target.name}: ${version} would be called\n`);
    return 0;
  }
  const invocation = found as Invocation;
  if (switches.has("json")) process.stdout.write(`${JSON.stringify(invocation)}\n`);
  else if (type === "Event") process.stdout.write(`${invocation.id}\n`);
  else showResponse(invocation);
  return invocation.status === "failed" ? 1 : 0;
}

/** The body as it is, for other programs; the rest for people. */
function showResponse(invocation: Invocation): void {
  const { response } = invocation;
  if (invocation.status === "failed") process.stderr.write(renderInvocation(invocation));
  if (response === null) return;
  process.stdout.write(Buffer.from(response.body, response.is_base64 ? "base64" : "utf8"));
}

async function readPayload({ payload, file, r2 }: CommandArguments["values"]) {
  const given = Object.entries({ payload, file, r2 }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => `--${name}`).join(" and ");
    throw new UsageError(`skep invoke: ${names} exclude each other`);
  }
  if (file === undefined) return Buffer.from(payload ?? "");
  try {
    return await readFile(file);
  } catch (error) {
    throw new CommandError(`${file} cannot be read`, { cause: error });
  }
}
