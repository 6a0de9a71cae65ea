/**
 * Proven functions that turn rogue, each once, in the edge that serves the proven: what is lost with that
 * edge, how soon it serves again, and where the rogue lives from then on.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../sample.ts";
import type { Row } from "../table.ts";
import type { AttackPlatform } from "./attack-platform.ts";
import { SteadyLoad, type Sample } from "./steady-load.ts";

export interface RogueReport {
  readonly attack: string;
  readonly rogues: number;
  readonly proven: readonly Sample[];
  /** Requests under way at the moment of an attack, on average. */
  readonly underWay: number;
  /** Rogues that were in a dedicated cell after their attack. */
  readonly moved: number;
  /** Requests on new connections after the limit was passed: how long until the first was answered. */
  readonly backMs: readonly number[];
  readonly innocentConvicted: number;
  readonly innocentMoved: number;
}

export interface RogueOptions {
  readonly platform: AttackPlatform;
  readonly attack: string;
  /** Proven functions with an attacker's source. */
  readonly rogues: readonly string[];
  readonly proven: readonly string[];
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly progress: (text: string) => void;
}

const PROBE_EVERY_MS = 5;
const WATCHED_MS = 1_000;

export async function turnRogue(options: RogueOptions): Promise<RogueReport> {
  const { platform, attack, rogues, proven, perSecond, cpuMs, progress } = options;
  const steady = new SteadyLoad({
    port: platform.port,
    scripts: proven,
    perSecond,
    connections: 16,
  });
  const backMs: number[] = [];
  const innocentMoved = new Set<string>();
  const innocentConvicted = new Set<string>();
  let moved = 0;
  let underWay = 0;
  for (const [index, rogue] of rogues.entries()) {
    if (index % 10 === 0) progress(`rogues, ${attack}: ${index + 1} of ${rogues.length}`);
    underWay += steady.underWay / rogues.length;
    const startedAt = Date.now();
    const attacking = platform.get(rogue, "/attack");
    backMs.push(await timeUntilServed(platform, proven[0] ?? "", startedAt + cpuMs));
    await attacking;
    await sleep(300);
    const { place } = await platform.placement(rogue);
    // As an attacker would: from its own cell nobody else notices.
    await platform.get(rogue, "/attack");
    if (place === "dedicated") moved++;
    for (const name of proven) {
      const { trust, place: where } = await platform.placement(name);
      if (trust === "convicted") innocentConvicted.add(name);
      if (where !== "edge") innocentMoved.add(name);
    }
  }
  return {
    attack,
    rogues: rogues.length,
    proven: await steady.stop(),
    underWay,
    moved,
    backMs,
    innocentConvicted: innocentConvicted.size,
    innocentMoved: innocentMoved.size,
  };
}

/**
 * New connections at short intervals from the moment the limit was passed. How long until all are answered
 * that were opened in the last tenth of a second, the stalled edge's share of them included.
 */
async function timeUntilServed(
  platform: AttackPlatform,
  script: string,
  limitAt: number,
): Promise<number> {
  const answered: { sentAt: number; ms: number; status: number }[] = [];
  const probes: Promise<void>[] = [];
  while (Date.now() < limitAt + WATCHED_MS) {
    const sentAt = Date.now();
    probes.push(
      platform.get(script, "/").then(({ ms, status }) => {
        answered.push({ sentAt, ms, status });
      }),
    );
    await sleep(PROBE_EVERY_MS);
  }
  await Promise.all(probes);
  const troubled = answered.filter(
    ({ sentAt, ms, status }) => status !== 200 || (sentAt + ms > limitAt && ms > 25),
  );
  return Math.max(0, ...troubled.map(({ sentAt, ms }) => sentAt + ms - limitAt));
}

export function rogueRows(report: RogueReport, coldStartMs: number): Row[] {
  const { attack, rogues, proven, backMs } = report;
  const section = "attack";
  const by = `${rogues} proven turned rogue, ${attack}`;
  const lost = proven.filter(({ status }) => status !== 200).length;
  return [
    {
      section,
      figure: `${by}: lost of ${proven.length} requests to the proven, per attack`,
      ours: lost / rogues,
      baseline: report.underWay,
      against: "under way",
      unit: "",
    },
    {
      section,
      figure: `${by}: rogues that were not moved to a dedicated cell`,
      ours: rogues - report.moved,
      unit: "",
      atMost: 0,
    },
    {
      section,
      figure: `${by}: innocents convicted`,
      ours: report.innocentConvicted,
      unit: "",
      atMost: 0,
    },
    {
      section,
      figure: `${by}: innocents moved out of the edges`,
      ours: report.innocentMoved,
      unit: "",
    },
    ...([0.5, 0.99] as const).map((q) => ({
      section,
      figure: `${by}: service back after the limit, p${q * 100}`,
      ours: quantile([...backMs], q),
      unit: "ms",
      atMost: 250,
    })),
    {
      section,
      figure: `${by}: service back after the limit, p50`,
      ours: quantile([...backMs], 0.5),
      baseline: coldStartMs,
      against: "cold start",
      unit: "ms",
    },
  ];
}
