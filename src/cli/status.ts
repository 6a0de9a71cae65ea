/** `skep status`: exit code 0 if a platform on the directory is ready, else 1. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Surroundings } from "../supervisor/config.ts";
import {
  readPlatformState,
  readProcessList,
  type ProcessList,
} from "../supervisor/process-list.ts";
import { UsageError, type CommandArguments } from "./command.ts";
import { readDataPaths } from "./running-platform.ts";

const POLL_INTERVAL_MS = 25;

export async function status(args: CommandArguments, around: Surroundings): Promise<number> {
  const { root, run } = readDataPaths(args.values, around);
  const timeoutMs = args.switches.has("wait") ? readTimeoutMs(args.values["timeout-seconds"]) : 0;
  const deadline = performance.now() + timeoutMs;
  let state = readPlatformState(run);
  while (state?.state !== "ready" && performance.now() < deadline) {
    await sleep(POLL_INTERVAL_MS);
    state = readPlatformState(run);
  }
  if (state === undefined) {
    process.stderr.write(`no platform runs on ${root}\n`);
    return 1;
  }
  const processes = readProcessList(run);
  process.stdout.write(
    [
      `${state.state} on ${root}`,
      `  functions  ${state.httpUrl}  ${state.httpsUrl}`,
      `  API        ${state.apiUrl}/client/v4`,
      ...(processes === undefined ? [] : [`  processes  ${describe(processes)}`]),
      "",
    ].join("\n"),
  );
  return state.state === "ready" ? 0 : 1;
}

function describe(list: ProcessList): string {
  const { supervisor, hub, store, databases, egress, trial, edges, cells } = list;
  const named: [string, number | null][] = [
    ["supervisor", supervisor],
    ["hub", hub],
    ["store", store],
    ["databases (slow)", databases[0] ?? null],
    ["databases (fast)", databases[1] ?? null],
    ["egress", egress],
    ["trial", trial],
    ...edges.map((pid, index): [string, number | null] => [`edge ${index}`, pid]),
    ...cells.probation.map((pid, index): [string, number | null] => [`cell ${index}`, pid]),
    ...cells.dedicated.map(({ index, pid }): [string, number] => [`cell ${index}`, pid]),
    ...cells.spares.map((pid): [string, number] => ["spare", pid]),
  ];
  return named.map(([name, pid]) => `${name} ${pid ?? "(restarting)"}`).join(", ");
}

function readTimeoutMs(text = "60"): number {
  const seconds = Number(text);
  if (text.trim() === "" || !Number.isFinite(seconds) || seconds < 0) {
    throw new UsageError(
      `--timeout-seconds: expected a number of seconds, got ${JSON.stringify(text)}`,
    );
  }
  return seconds * 1000;
}
