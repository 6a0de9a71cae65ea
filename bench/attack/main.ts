/** Attacks with figures: by newcomers, and by proven functions that turn rogue. Minutes at full effort. */
import { setTimeout as sleep } from "node:timers/promises";
import { Connection, getRequest } from "../connection.ts";
import { hostOf, startPlatform } from "../platform.ts";
import { quantile } from "../sample.ts";
import { repetitions, type Section } from "../section.ts";
import { attackPlatform, type AttackPlatform } from "./attack-platform.ts";
import { attacker, attackerForm } from "./attackers.ts";
import { attackByNewcomers, NEWCOMER_ATTACKS, newcomerRows } from "./newcomers.ts";
import { rogueRows, turnRogue } from "./rogues.ts";
import { SteadyLoad } from "./steady-load.ts";

const PROVEN = 20;
const NEIGHBOURS = 6;
const PER_SECOND = 200;
const QUIET_SECONDS = 20;
/** The default limit, which the attackers do not change. */
const CPU_MS = 50;
/** Clean invocations that prove a function; it must also have been there for a minute. */
const CLEAN = 110;

export const attack: Section = async (bench) => {
  const rounds = repetitions(bench, 100);
  await using platform = await startPlatform();
  const target = attackPlatform(platform);
  const rogues = new Map(
    (["loop", "heap at once"] as const).map((name) => [
      name,
      Array.from(
        { length: repetitions(bench, 20) },
        (_, index) => `rogue-${name.split(" ")[0]}-${index}`,
      ),
    ]),
  );
  bench.progress("deploying, and proving functions, which takes a minute");
  const proven = await platform.deployMany("proven", PROVEN);
  for (const [name, scripts] of rogues) {
    for (const script of scripts) await target.deployForm(script, attackerForm(attacker(name)));
  }
  await prove(target, [...proven, ...[...rogues.values()].flat()]);
  const neighbours = await platform.deployMany("neighbour", NEIGHBOURS);

  const options = { platform: target, proven, perSecond: PER_SECOND, cpuMs: CPU_MS, ...bench };
  const quiet = new SteadyLoad({
    port: platform.port,
    scripts: proven,
    perSecond: PER_SECOND,
    connections: 16,
  });
  // The deploys that the attacks need go on here too, of functions that do no harm.
  const quietUntil = performance.now() + Math.max(3, QUIET_SECONDS * bench.effort) * 1000;
  for (let index = 0; performance.now() < quietUntil; index++) {
    await target.deployForm(`quiet-${index}`, attackerForm(attacker("loop")));
    await target.get(`quiet-${index}`, "/");
    await sleep(250);
    await target.remove(`quiet-${index}`);
  }
  const quietSamples = await quiet.stop();
  const quietP99 = quantile(
    quietSamples.map(({ ms }) => ms),
    0.99,
  );
  const rows = [];
  for (const kind of NEWCOMER_ATTACKS) {
    const report = await attackByNewcomers(kind, { ...options, neighbours, rounds });
    rows.push(...newcomerRows(report, quietP99));
  }
  const coldMs = await coldStart(platform.port, await platform.deployMany("cold", 20));
  for (const [name, scripts] of rogues) {
    const report = await turnRogue({ ...options, attack: name, rogues: scripts });
    rows.push(...rogueRows(report, coldMs));
  }
  return rows;
};

/** Calls each function often enough and waits until all of them live in the edges. */
async function prove(platform: AttackPlatform, scripts: readonly string[]): Promise<void> {
  const connection = await Connection.open(platform);
  for (let call = 0; call < CLEAN; call++) {
    for (const script of scripts) await connection.send(getRequest(hostOf(script)));
  }
  for (const script of scripts) {
    while ((await platform.placement(script)).place !== "edge") {
      await sleep(500);
      await connection.send(getRequest(hostOf(script)));
    }
    await connection.send(getRequest(hostOf(script)));
  }
  connection.close();
}

/** Median of first answers in the edge, of functions that were never called. */
async function coldStart(port: number, scripts: readonly string[]): Promise<number> {
  const connection = await Connection.open({ port });
  const times: number[] = [];
  for (const script of scripts) {
    const before = performance.now();
    await connection.send(getRequest(hostOf(script)));
    times.push(performance.now() - before);
  }
  connection.close();
  return quantile(times, 0.5);
}
