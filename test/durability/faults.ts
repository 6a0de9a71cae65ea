/**
 * Rounds of SIGKILL while functions write into everything that they can write into. In each round one process is killed at a
 * random moment; the round ends when every writer has had a write acknowledged since. At the end everything that was
 * acknowledged is looked for.
 */
import type { Platform, Victim } from "../platform.ts";
import { awaitDeliveries, type Deliveries, type Kill } from "./deliveries.ts";
import { setStage, type Kind, type Stage } from "./stage.ts";
import { Writer, type Wrong } from "./writer.ts";

export interface Report {
  readonly rounds: number;
  readonly kills: Readonly<Record<Victim, number>>;
  readonly acknowledged: Readonly<Record<Kind, number>>;
  readonly unacknowledged: number;
  /** Acknowledged writes that are not there, or not as they were written. */
  readonly wrong: readonly (Wrong & { readonly kind: Kind; readonly script: string })[];
  readonly deliveries: Deliveries;
}

const VICTIMS: readonly Victim[] = ["store", "cell", "edge", "databases", "hub", "store", "cell"];
/** A start of everything takes longest. */
const SUPERVISOR_EVERY = 10;
const MAX_WAIT_MS = 200;
const RECOVERY_TIMEOUT_MS = 45_000;
const DELIVERY_TIMEOUT_MS = 120_000;

export async function runFaults(
  platform: Platform,
  rounds: number,
  progress: (text: string) => void,
): Promise<Report> {
  const stage = await setStage(platform);
  const writers = writersOf(platform, stage);
  for (const writer of writers) writer.start();
  await untilAllWrote(writers);
  const kills = { hub: 0, store: 0, databases: 0, edge: 0, cell: 0, supervisor: 0 };
  const killed: Kill[] = [];
  for (let round = 1; round <= rounds; round++) {
    const victim =
      round % SUPERVISOR_EVERY === 0
        ? "supervisor"
        : (VICTIMS[Math.floor(Math.random() * VICTIMS.length)] ?? "store");
    await new Promise((resolve) => setTimeout(resolve, Math.random() * MAX_WAIT_MS));
    const fromMs = Date.now();
    await platform.kill(victim);
    kills[victim]++;
    if (victim === "supervisor") await platform.restart();
    killed.push({ fromMs, toMs: Date.now() });
    await untilAllWrote(writers).catch((error: unknown) => {
      throw new Error(`round ${round}, ${victim} killed`, { cause: error });
    });
    if (round % 20 === 0) progress(`round ${round} of ${rounds}`);
  }
  await Promise.all(writers.map((writer) => writer.stop()));
  const wrong: Report["wrong"][number][] = [];
  for (const writer of writers) {
    const { kind, script } = writer;
    for (const each of await writer.check()) wrong.push({ ...each, kind, script });
  }
  const messages = writers.filter(({ kind }) => kind === "queue").flatMap((w) => w.acknowledgedIds);
  const deliveries = await awaitDeliveries(
    platform,
    stage.deliveries,
    messages,
    killed,
    DELIVERY_TIMEOUT_MS,
  );
  await allAlarmsRan(platform, writers);
  const acknowledged = { kv: 0, d1: 0, r2: 0, queue: 0, object: 0 };
  for (const writer of writers) acknowledged[writer.kind] += writer.acknowledged;
  return {
    rounds,
    kills,
    acknowledged,
    unacknowledged: writers.reduce((sum, writer) => sum + writer.unacknowledged, 0),
    wrong,
    deliveries,
  };
}

/** One for each kind that a script writes. */
export function writersOf(platform: Platform, { scripts }: Stage): Writer[] {
  return scripts.flatMap(({ name, kinds }, script) =>
    kinds.map((kind) => new Writer(platform, name, kind, `${"ab"[script]}${kind}`)),
  );
}

/** Resolves when each has had one more write acknowledged than now. */
export async function untilAllWrote(writers: readonly Writer[]): Promise<void> {
  const before = writers.map(({ acknowledged }) => acknowledged);
  const deadline = Date.now() + RECOVERY_TIMEOUT_MS;
  for (;;) {
    // The first may have been under way before.
    const stuck = writers.find(
      ({ acknowledged }, index) => acknowledged < (before[index] ?? 0) + 2,
    );
    if (stuck === undefined) return;
    if (Date.now() > deadline) {
      throw new Error(
        `${stuck.script} got no write into ${stuck.kind} acknowledged for ${RECOVERY_TIMEOUT_MS} ms: ${stuck.lastFailure}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Each write of an object waits for an alarm; none of them may be forgotten. */
async function allAlarmsRan(platform: Platform, writers: readonly Writer[]): Promise<void> {
  for (const { script, kind, name } of writers) {
    if (kind !== "object") continue;
    const deadline = Date.now() + RECOVERY_TIMEOUT_MS;
    for (;;) {
      const response = await platform.fetch(script, "/object/check", {
        method: "POST",
        body: JSON.stringify([`waiting-${name}`]),
      });
      const [waiting] = (await response.json()) as [number];
      if (waiting === 0) break;
      if (Date.now() > deadline) throw new Error(`${waiting} writes wait for an alarm in vain`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
