/**
 * What cells cost: memory of 100 idle dedicated cells, CPU of watching 10 idle ones, CPU per request of a
 * function behind the hop against a proven one, and the watch's own price on the warm path.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, getRequest } from "./connection.ts";
import { load } from "./load.ts";
import { hostOf, startPlatform, type Platform } from "./platform.ts";
import { cpuMsOf, memoryOf } from "./process-usage.ts";
import { median } from "./sample.ts";
import { repetitions, type Section } from "./section.ts";
import type { Row } from "./table.ts";

const SETTLE_MS = 5_000;
const TURN_SECONDS = 2;
const CONNECTIONS = 64;

export const cells: Section = async (bench) => {
  const rows: Row[] = [];
  {
    const count = repetitions(bench, 100, 10);
    await using platform = await startPlatform(["--isolation", "dedicated"]);
    bench.progress(`${count} dedicated cells`);
    const scripts = await platform.deployMany("alone", count);
    await callEach(platform, scripts.slice(0, 10));
    await sleep(SETTLE_MS);
    rows.push(await watching(platform, 10));
    await callEach(platform, scripts);
    await sleep(SETTLE_MS);
    const pids = platform.pids("dedicated");
    const { rssKiB, pssKiB } = memoryOf(pids);
    const figure = `of ${pids.length} idle dedicated cells, each`;
    rows.push(
      { section: "cells", figure: `RSS ${figure}`, ours: rssKiB / 1024 / pids.length, unit: "MiB" },
      { section: "cells", figure: `PSS ${figure}`, ours: pssKiB / 1024 / pids.length, unit: "MiB" },
      await watching(platform, pids.length),
    );
  }
  {
    const one = ["--edges", "1"];
    await using proven = await startPlatform([...one, "--isolation", "trusted"]);
    await using hop = await startPlatform([...one, "--isolation", "dedicated"]);
    for (const each of [proven, hop]) await each.deploy("hello");
    const used = { proven: [] as number[], hop: [] as number[], ratios: [] as number[] };
    const turns = repetitions(bench, 8);
    for (let turn = 0; turn <= turns; turn++) {
      bench.progress(`hop turn ${turn} of ${turns}`);
      const direct = await cpuPerRequest(proven);
      const behind = await cpuPerRequest(hop);
      if (turn === 0) continue; // warms up
      used.proven.push(direct);
      used.hop.push(behind);
      used.ratios.push(behind / direct);
    }
    rows.push({
      section: "cells",
      figure: "CPU per request behind the hop",
      ours: median(used.hop),
      baseline: median(used.proven),
      against: "proven, in the edge",
      unit: "µs",
      ratio: median(used.ratios),
      atMost: 3.5,
    });
  }
  return rows;
};

async function callEach(platform: Platform, scripts: readonly string[]): Promise<void> {
  const connection = await Connection.open(platform);
  for (const script of scripts) {
    const { status } = await connection.send(getRequest(hostOf(script)));
    if (status !== 200) throw new Error(`${script} answered ${status}`);
  }
  connection.close();
}

/** CPU of the supervisor while nothing happens, in % of a core. */
async function watching(platform: Platform, count: number): Promise<Row> {
  const supervisor = platform.pids("supervisor");
  const before = cpuMsOf(supervisor);
  await sleep(SETTLE_MS);
  return {
    section: "cells",
    figure: `supervisor with ${count} idle dedicated cells, CPU in % of a core`,
    ours: ((cpuMsOf(supervisor) - before) / SETTLE_MS) * 100,
    unit: "",
    ...(count === 10 ? { atMost: 5 } : {}),
  };
}

/** Microseconds, of all processes that serve. */
async function cpuPerRequest(platform: Platform): Promise<number> {
  const pids = platform.pids();
  const before = cpuMsOf(pids);
  const { requests, failures } = await load({
    port: platform.port,
    connections: CONNECTIONS,
    seconds: TURN_SECONDS,
    requests: [getRequest(hostOf("hello"))],
  });
  if (failures > 0) throw new Error(`${failures} of ${requests} requests failed`);
  return ((cpuMsOf(pids) - before) / requests) * 1000;
}
