/** `skep stats`: reads the metrics of a namespace from the API and shows them (stats.ts). */
import type { NamespaceMetrics } from "../protocol/metrics-report.ts";
import type { Surroundings } from "../supervisor/config.ts";
import { callApi } from "./api-client.ts";
import type { CommandArguments } from "./command.ts";
import { findPlatform } from "./running-platform.ts";
import { readNamespace } from "./script-target.ts";
import { renderStats, watchStats } from "./stats.ts";

export async function stats(args: CommandArguments, around: Surroundings): Promise<number> {
  const { since = "1h" } = args.values;
  const path = `${readNamespace("stats", args)}/metrics`;
  const query = new URLSearchParams({ since }).toString();
  // Found anew each time: under --watch the platform may restart on another port.
  const fetchMetrics = async () =>
    (await callApi(
      findPlatform(args.values, around),
      "GET",
      `${path}?${query}`,
    )) as NamespaceMetrics;
  if (!args.switches.has("watch")) {
    process.stdout.write(`${renderStats(await fetchMetrics()).join("\n")}\n`);
    return 0;
  }
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => controller.abort());
  }
  await watchStats({ fetchMetrics, output: process.stdout, signal: controller.signal });
  return 0;
}
