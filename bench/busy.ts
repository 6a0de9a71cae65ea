/**
 * Honest load at full CPU, which must not be mistaken for an attack: 64 connections to a function that
 * does nothing, and bursts of 20 ms of CPU on 2, 8 and 32 connections. Proven functions and newcomers in turn.
 */
import { getRequest } from "./connection.ts";
import { load } from "./load.ts";
import { hostOf, startPlatform, type Platform } from "./platform.ts";
import type { Section } from "./section.ts";
import type { Row } from "./table.ts";

const SECONDS = 60;
const BURST = `export default {
  fetch() {
    const end = performance.now() + 20;
    while (performance.now() < end);
    return new Response("ok");
  },
};`;
const LOADS = [
  { script: "hello", connections: 64 },
  { script: "burst", connections: 2 },
  { script: "burst", connections: 8 },
  { script: "burst", connections: 32 },
] as const;

export const busy: Section = async (bench) => {
  const rows: Row[] = [];
  for (const isolation of ["trusted", "shared"] as const) {
    await using platform = await startPlatform(["--isolation", isolation]);
    await platform.deploy("hello");
    await platform.deploy("burst", BURST);
    for (const { script, connections } of LOADS) {
      const who = isolation === "trusted" ? "in the edges" : "from probation on";
      const seconds = Math.max(3, SECONDS * bench.effort);
      const figure = `${script}, ${connections} connections for ${seconds} s, ${who}`;
      bench.progress(figure);
      const before = await incidents(platform);
      const requests = [getRequest(hostOf(script))];
      const { failures, requests: total } = await load({
        port: platform.port,
        connections,
        seconds,
        requests,
      });
      rows.push(
        {
          section: "busy",
          figure: `${figure}: kills`,
          ours: (await incidents(platform)) - before,
          unit: "",
          atMost: 0,
        },
        {
          section: "busy",
          figure: `${figure}: failures of ${total}`,
          ours: failures,
          unit: "",
          atMost: 0,
        },
      );
    }
  }
  return rows;
};

/** Kills, replacements and crashes that the platform has counted so far. */
export async function incidents(platform: Platform): Promise<number> {
  const text = await platform.metrics();
  const counts = [...text.matchAll(/^skep_incidents_total\{[^}]*\} (\d+)/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}
