/**
 * Many Cron Triggers that are due in the same minute: each runs, and those that began more than a minute late are
 * recorded as late. Functions of shared namespaces and of trusted ones in turn.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startPlatform, type Platform } from "./platform.ts";
import { repetitions, type Section } from "./section.ts";
import type { Row } from "./table.ts";

const TRIGGERS = 10_000;
const FUNCTIONS = 100;
const MINUTE_MS = 60_000;
/** So long before they are due, all are set. */
const LEAD_MS = 20_000;
const MAX_WAIT_MS = 10 * MINUTE_MS;

const SOURCE = `export default { async scheduled() { await scheduler.wait(5); } };`;

interface Run {
  readonly scheduled_time: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly late: boolean;
  readonly started_on: string | null;
  readonly ended_on: string | null;
}

export const cron: Section = async (bench) => {
  const rows: Row[] = [];
  const perFunction = Math.ceil(repetitions(bench, TRIGGERS, 1_000) / FUNCTIONS);
  for (const isolation of ["shared", "trusted"] as const) {
    await using platform = await startPlatform(["--isolation", isolation]);
    const names = Array.from({ length: FUNCTIONS }, (_, index) => `timed-${index}`);
    for (const name of names) await platform.deploy(name, SOURCE);
    bench.progress(`${FUNCTIONS * perFunction} triggers, ${isolation}`);
    const runs = await runAll(platform, names, perFunction);
    const total = FUNCTIONS * perFunction;
    const ok = runs.filter(({ outcome }) => outcome === "ok");
    const delays = runs.map(({ started_on: at, scheduled_time: due }) => since(due, at));
    const ends = runs.map(({ ended_on: at, scheduled_time: due }) => since(due, at));
    const figure = `${total} triggers due in one minute, ${isolation}`;
    rows.push(
      {
        section: "cron",
        figure: `${figure}: not run`,
        ours: total - ok.length,
        unit: "",
        atMost: 0,
      },
      {
        section: "cron",
        figure: `${figure}: begun later than a minute`,
        ours: runs.filter(({ late }) => late).length,
        unit: "",
      },
      {
        section: "cron",
        figure: `${figure}: the last began after`,
        ours: Math.max(...delays),
        unit: "s",
      },
      {
        section: "cron",
        figure: `${figure}: the last ended after`,
        ours: Math.max(...ends),
        unit: "s",
      },
    );
  }
  return rows;
};

async function runAll(platform: Platform, names: readonly string[], count: number): Promise<Run[]> {
  const path = (name: string) =>
    `/workers/dispatch/namespaces/production/scripts/${name}/schedules`;
  const dueMs = await setAll(platform, names.map(path), count);
  const due = new Date(dueMs).toISOString();
  const deadlineMs = dueMs + MAX_WAIT_MS;
  for (;;) {
    const all: Run[] = [];
    await sleep(Math.max(2_000, dueMs + 5_000 - Date.now()));
    for (const name of names) {
      const answer = await platform.api("GET", `${path(name)}/runs?limit=200`);
      const { runs } = answer as { readonly runs: readonly Run[] };
      all.push(...runs.filter((run) => run.scheduled_time === due && run.state === "ended"));
    }
    if (all.length >= names.length * count || Date.now() > deadlineMs) return all;
  }
}

/** Returns when they are due. */
async function setAll(
  platform: Platform,
  paths: readonly string[],
  count: number,
): Promise<number> {
  for (let leadMs = 2 * MINUTE_MS; ; leadMs *= 2) {
    const dueMs = Math.ceil((Date.now() + leadMs) / MINUTE_MS) * MINUTE_MS;
    const crons = cronsAt(new Date(dueMs), count).map((text) => ({ cron: text }));
    for (const path of paths) await platform.api("PUT", path, crons);
    if (Date.now() < dueMs - LEAD_MS) return dueMs;
  }
}

/** Different expressions that match this time, and other ones half an hour later or more. */
function cronsAt(time: Date, count: number): string[] {
  const [minute, hour] = [time.getUTCMinutes(), time.getUTCHours()];
  return Array.from({ length: count }, (_, index) => {
    const otherMinute = (minute + 30 + (index % 20)) % 60;
    const otherHour = (hour + 2 + Math.floor(index / 20)) % 24;
    return `${minute},${otherMinute} ${hour},${otherHour} * * *`;
  });
}

function since(due: string, at: string | null): number {
  return at === null ? Number.NaN : (Date.parse(at) - Date.parse(due)) / 1_000;
}
