/**
 * Attacks by newcomers, one at a time, beside proven functions at steady load and harmless newcomers that
 * share the probation cells with the attacker. What must hold: the proven lose nothing and hardly notice,
 * the neighbours lose no GET, whoever is convicted is the attacker.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { median, quantile } from "../sample.ts";
import type { Row } from "../table.ts";
import { attacker, attackerForm, hoarderSource } from "./attackers.ts";
import type { AttackPlatform } from "./attack-platform.ts";
import { SteadyLoad, type Sample } from "./steady-load.ts";

export const NEWCOMER_ATTACKS = ["loop", "heap", "sum"] as const;
export type NewcomerAttack = (typeof NEWCOMER_ATTACKS)[number];

export interface NewcomerReport {
  readonly attack: NewcomerAttack;
  readonly rounds: number;
  readonly proven: readonly Sample[];
  readonly neighbours: readonly Sample[];
  /** Milliseconds from the attack to the answer that the attacker's own request got, and its status. */
  readonly answers: readonly { readonly ms: number; readonly status: number }[];
  /** Rounds after which the attacker was a suspect or convicted, and of these the convicted. */
  readonly caught: number;
  readonly convicted: number;
  /** Innocent functions that were ever found convicted, or moved to a dedicated cell. */
  readonly innocentConvicted: number;
  readonly innocentMoved: number;
  /** Milliseconds from the limit being passed until a neighbour that had to wait was answered. */
  readonly backMs: readonly number[];
}

export interface NewcomerOptions {
  readonly platform: AttackPlatform;
  readonly rounds: number;
  /** Deployed and proven. */
  readonly proven: readonly string[];
  readonly neighbours: readonly string[];
  readonly perSecond: number;
  /** CPU limit of the attackers in milliseconds. */
  readonly cpuMs: number;
  readonly progress: (text: string) => void;
}

/** Functions of one "sum" attack: each holds less than its limit, together more than a process can have. */
const SUM_FUNCTIONS = 40;
const SUM_MEGABYTES = 105;

export async function attackByNewcomers(
  attack: NewcomerAttack,
  options: NewcomerOptions,
): Promise<NewcomerReport> {
  const { platform, rounds, proven, neighbours, perSecond, cpuMs, progress } = options;
  const { port } = platform;
  const steady = new SteadyLoad({ port, scripts: proven, perSecond, connections: 16 });
  const beside = new SteadyLoad({ port, scripts: neighbours, perSecond: 40, connections: 16 });
  const answers: { ms: number; status: number }[] = [];
  const backMs: number[] = [];
  const innocentConvicted = new Set<string>();
  const innocentMoved = new Set<string>();
  let caught = 0;
  let convicted = 0;
  for (let round = 1; round <= rounds; round++) {
    if (round % 10 === 1) progress(`newcomers, ${attack}: round ${round} of ${rounds}`);
    const names =
      attack === "sum"
        ? Array.from({ length: SUM_FUNCTIONS }, (_, index) => `sum-${index}`)
        : [`${attack}-${round}`];
    for (const name of names) {
      await platform.deployForm(
        name,
        attack === "sum" ? hoarderSource(SUM_MEGABYTES) : attackerForm(attacker(attack)),
      );
    }
    const startedAt = Date.now();
    const results = await Promise.all(names.map((name) => platform.get(name, "/attack")));
    answers.push(...results);
    await sleep(250);
    for (const back of recoveries(beside.samples, startedAt, cpuMs)) backMs.push(back);
    const places = await Promise.all(names.map((name) => platform.placement(name)));
    if (places.some(({ trust }) => trust === "suspect" || trust === "convicted")) caught++;
    if (places.some(({ trust }) => trust === "convicted")) convicted++;
    if (round % 10 === 0 || round === rounds) {
      for (const name of [...proven, ...neighbours]) {
        const { trust, place } = await platform.placement(name);
        if (trust === "convicted") innocentConvicted.add(name);
        if (place === "dedicated") innocentMoved.add(name);
      }
    }
    if (attack !== "sum") await platform.remove(names[0] ?? "");
  }
  const samples = { proven: await steady.stop(), neighbours: await beside.stop() };
  for (const each of [...samples.proven, ...samples.neighbours]) {
    if (each.failure !== undefined) progress(`${each.script}: ${each.status} ${each.failure}`);
  }
  return {
    attack,
    rounds,
    ...samples,
    answers,
    caught,
    convicted,
    innocentConvicted: innocentConvicted.size,
    innocentMoved: innocentMoved.size,
    backMs,
  };
}

/** The first answer after the limit was passed to a request that the attack had held up. */
function recoveries(samples: readonly Sample[], startedAt: number, cpuMs: number): number[] {
  const limitAt = startedAt + cpuMs;
  const held = samples
    .filter(({ sentAt, ms, status }) => status === 200 && sentAt >= startedAt - 20 && ms > cpuMs)
    .map(({ sentAt, ms }) => sentAt + ms - limitAt)
    .filter((back) => back > 0);
  return held.length === 0 ? [] : [Math.min(...held)];
}

export function newcomerRows(report: NewcomerReport, quietP99: number): Row[] {
  const { attack, rounds, proven, neighbours, answers, backMs } = report;
  const section = "attack";
  const by = `${rounds} x ${attack} by newcomers`;
  const lost = (samples: readonly Sample[]) =>
    samples.filter(({ status }) => status !== 200).length;
  const p99 = quantile(
    proven.filter(({ status }) => status === 200).map(({ ms }) => ms),
    0.99,
  );
  return [
    {
      section,
      figure: `${by}: lost of ${proven.length} requests to the proven`,
      ours: lost(proven),
      unit: "",
      atMost: 0,
    },
    {
      section,
      figure: `${by}: p99 of the proven`,
      ours: p99,
      baseline: quietP99,
      against: "without attacks",
      unit: "ms",
      atMost: 2,
    },
    {
      section,
      figure: `${by}: lost of ${neighbours.length} GETs to neighbours on probation`,
      ours: lost(neighbours),
      unit: "",
      atMost: 0,
    },
    {
      section,
      figure: `${by}: rounds in which the attacker was not caught`,
      ours: rounds - report.caught,
      unit: "",
      atMost: Math.floor(rounds / 100),
    },
    {
      section,
      figure: `${by}: attackers convicted in the first round`,
      ours: report.convicted,
      unit: "",
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
      figure: `${by}: innocents moved to a dedicated cell`,
      ours: report.innocentMoved,
      unit: "",
    },
    {
      section,
      figure: `${by}: attacker answered 503 after, p50`,
      ours: median(answers.map(({ ms }) => ms)),
      unit: "ms",
    },
    ...(backMs.length === 0
      ? []
      : [
          {
            section,
            figure: `${by}: service back after the limit, p50`,
            ours: quantile([...backMs], 0.5),
            unit: "ms",
            atMost: 250,
          },
          {
            section,
            figure: `${by}: service back after the limit, p99`,
            ours: quantile([...backMs], 0.99),
            unit: "ms",
            atMost: 250,
          },
        ]),
  ];
}
