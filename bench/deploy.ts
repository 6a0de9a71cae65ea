/**
 * A deploy that was acknowledged is what the very next request gets: on every one of several connections,
 * which the edges share among them, while the function is under no other load.
 */
import { Connection, getRequest } from "./connection.ts";
import { functionSource } from "./function-source.ts";
import { hostOf, startPlatform } from "./platform.ts";
import { quantile } from "./sample.ts";
import { repetitions, type Section } from "./section.ts";

const CONNECTIONS = 4;

export const deploy: Section = async (bench) => {
  const tries = repetitions(bench, 1000, 50);
  await using platform = await startPlatform();
  const request = getRequest(hostOf("version"));
  const connections = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => Connection.open(platform)),
  );
  const deployMs: number[] = [];
  let stale = 0;
  for (let version = 1; version <= tries; version++) {
    if (version % 100 === 0) bench.progress(`deploy ${version} of ${tries}`);
    const source = functionSource(`version ${version}`);
    const before = performance.now();
    await platform.deploy("version", source);
    deployMs.push(performance.now() - before);
    const answers = await Promise.all(connections.map((connection) => connection.send(request)));
    if (answers.some(({ body }) => body.toString() !== `version ${version}`)) stale++;
  }
  for (const connection of connections) connection.close();
  const section = "deploy";
  return [
    { section, figure: `stale after ${tries} deploys`, ours: stale, unit: "", atMost: 0 },
    { section, figure: "deploy, p50", ours: quantile(deployMs, 0.5), unit: "ms" },
    { section, figure: "deploy, p99", ours: quantile(deployMs, 0.99), unit: "ms" },
  ];
};
