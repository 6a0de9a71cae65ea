/** `skep tail`: shows what functions do as they do it; of one, or of all of a namespace. */
import type { TraceEvent } from "../protocol/trace.ts";
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import { CommandError, UsageError, type CommandArguments } from "./command.ts";
import { findPlatform } from "./running-platform.ts";
import { readTargetOrNamespace } from "./script-target.ts";
import { traceLines } from "./trace-text.ts";

/** Normal closure: the tail has ended. */
const ENDED = 1000;

export async function tail(args: CommandArguments, around: Surroundings): Promise<number> {
  const [target, ...rest] = args.positionals;
  if (rest.length > 0) throw new UsageError("skep tail: expected NAMESPACE[/SCRIPT] or /SCRIPT");
  const path = `${readTargetOrNamespace("tail", target)}/tails`;
  const isJson = formatOf(args) === "json";
  const { outcome, method, grep } = args.values;
  const filters = [
    ...(outcome === undefined ? [] : [{ outcome: outcome.split(",") }]),
    ...(method === undefined ? [] : [{ method: method.split(",") }]),
    ...(grep === undefined ? [] : [{ query: grep }]),
  ];
  const platform = findPlatform(args.values, around);
  const { id, url } = (await callApi(platform, "POST", path, { filters })) as {
    readonly id: string;
    readonly url: string;
  };
  process.stderr.write(`following ${target}; Ctrl-C ends it\n`);
  await follow(url, (event) => {
    const lines = isJson ? [JSON.stringify(event)] : traceLines(event);
    process.stdout.write(`${lines.join("\n")}\n`);
  });
  await callApi(platform, "DELETE", `${path}/${id}`);
  return 0;
}

/** @throws UsageError */
export function formatOf({ values }: CommandArguments): "pretty" | "json" {
  const { format = "pretty" } = values;
  if (format === "pretty" || format === "json") return format;
  throw new UsageError(`--format: expected pretty or json, got ${JSON.stringify(format)}`);
}

/** Until Ctrl-C, or the end of the tail. */
function follow(url: string, onEvent: (event: TraceEvent) => void): Promise<void> {
  if (typeof WebSocket === "undefined") {
    throw new CommandError(`this needs Node.js 22 or later, and runs in ${process.version}`);
  }
  const socket = new WebSocket(url, "trace-v1");
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => socket.close(ENDED));
  }
  return new Promise((resolve, reject) => {
    socket.addEventListener("message", ({ data }) => {
      onEvent(JSON.parse(String(data)) as TraceEvent);
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (code === ENDED) resolve();
      else reject(new CommandError(`the connection was lost (${code}${reason && `, ${reason}`})`));
    });
  });
}
