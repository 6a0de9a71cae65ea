// The pool with real workerd processes, whose Worker is the fixture that stands in for cells.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_PLATFORM_LIMITS } from "../../protocol/limits.ts";
import type { CellRequest, Incident } from "../../protocol/incident.ts";
import { readConfig } from "../config.ts";
import { callControl } from "../control-client.ts";
import { dataPaths } from "../data-directory.ts";
import { Launcher } from "../launcher.ts";
import { identify } from "../process-identity.ts";
import { socketNames } from "../socket-names.ts";
import { readSurroundings } from "../surroundings.ts";
import type { WatchedLimits } from "../watch/watch.ts";
import { findWorkerd } from "../workerd-binary.ts";
import type { WorkerdProcess } from "../workerd-process.ts";
import { CellPool, type CellPlace, type CellPoolOptions } from "./pool.ts";

const MINUTE_MS = 60_000;

let folder: string;
let run: string;
let pool: CellPool;
/** What the pool said, in its order. */
let news: { lives: (number | null)[]; incident?: Incident }[];
let limits: Map<number, WatchedLimits>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skep-pool-"));
  const paths = dataPaths(folder);
  ({ run } = paths);
  for (const path of Object.values(paths)) mkdirSync(path, { recursive: true });
  news = [];
  limits = new Map();
});
afterEach(async () => {
  const { alive } = pool;
  pool.kill();
  await Promise.all(alive.map(({ exited }) => exited));
  rmSync(folder, { recursive: true });
});

interface Given extends Partial<Omit<CellPoolOptions, "launch">> {
  readonly launch?: (launch: CellPoolOptions["launch"]) => WorkerdProcess;
}

async function startPool({ launch, ...given }: Given = {}): Promise<void> {
  const launcher = new Launcher({
    config: readConfig({ data: folder }, readSurroundings()),
    paths: dataPaths(folder),
    binary: findWorkerd(),
    workers: join(import.meta.dirname, "../fixtures"),
    secretKeys: () => "",
    output: () => {},
  });
  await launcher.prepare();
  pool = new CellPool({
    counts: { probation: 1, total: 3 },
    spares: 1,
    keepAliveMs: 10 * MINUTE_MS,
    probationMemoryBytes: 2 ** 30,
    stateful: { take: () => () => {}, end: async () => {} },
    launch: () => (launch ? launch(() => launcher.cell()) : launcher.cell()),
    connect: (index, process) => {
      const link = socketNames.cell(index);
      if (process === null) launcher.dropLink(link);
      else launcher.pointLink(link, socketNames.cellLife(process.life));
    },
    watch: {
      add: ({ pid, role }) => void limits.set(pid, { role }),
      update: (pid, given) => void limits.set(pid, given),
      remove: (pid) => void limits.delete(pid),
    },
    onReady: () => {},
    crashOf: (place) => incidentOf(place, "crash"),
    onNews: async (incident) => {
      news.push({ lives: pool.lives, ...(incident && { incident }) });
    },
    onChange: () => {},
    onExit: (process) => launcher.forget(process),
    log: () => {},
    ...given,
  });
  await pool.start();
}

function incidentOf({ index, process, versionId }: CellPlace, kind: Incident["kind"]): Incident {
  return {
    kind,
    atMs: 0,
    process: "cell",
    index,
    life: process.life,
    killed: true,
    named: versionId,
    certain: versionId !== null,
    involved: [],
    detail: "",
  };
}

const request = (versionId: string): CellRequest => ({
  versionId,
  namespace: "production",
  script: versionId,
  memoryMb: 64,
  cpuMs: 50,
  isMistrusted: false,
  isPreview: false,
  subrequests: 50,
});
/** Who answers callers of a cell; undefined: nobody. */
async function reach(index: number): Promise<string | undefined> {
  try {
    const socket = join(run, socketNames.cell(index));
    const answer = await callControl({
      socket,
      method: "GET",
      path: "http://cell/",
      timeoutMs: 5000,
    });
    return answer.toString();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}
const placeOf = (index: number): CellPlace => {
  const place = pool.places.find((each) => each.index === index);
  if (place === undefined) throw new Error(`there is no cell ${index}`);
  return place;
};
const pidOf = (index: number) => placeOf(index).process.workerdPid ?? 0;
const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
};

describe("a pool of cells", () => {
  test("gives a version one cell, however often and at once it is asked", async () => {
    await startPool();
    const asked = await Promise.all(["a", "b", "a", "a"].map((id) => pool.assign(request(id))));
    const [a, b] = asked;
    expect(asked).toEqual([a, b, a, a]);
    expect([a?.index, b?.index]).toEqual([1, 2]);
    expect(await pool.assign(request("a"))).toEqual(a);
    expect(news).toHaveLength(3);
    expect(pool.lives).toEqual([placeOf(0).process.life, a?.life, b?.life]);
    const answers = await Promise.all([reach(0), reach(1), reach(2)]);
    expect(new Set(answers).size).toBe(3);
    expect(news.at(-1)).toEqual({ lives: pool.lives });
  });

  test("has each process watched for what it is", async () => {
    await startPool();
    await pool.assign(request("a"));
    expect(limits.get(pidOf(0))).toEqual({ role: "probation", memoryBudgetBytes: 2 ** 30 });
    const dedicated = { role: "dedicated", versionId: "a", memoryLimitBytes: 64 * 2 ** 20 };
    expect(limits.get(pidOf(1))).toEqual(dedicated);
    await pool.assign({ ...request("a"), memoryMb: 128 });
    expect(limits.get(pidOf(1))).toEqual({ ...dedicated, memoryLimitBytes: 128 * 2 ** 20 });
    await until(() => pool.spares.length === 1);
    expect(limits.get(pool.spares[0]?.workerdPid ?? 0)).toEqual({ role: "spare" });
  });

  test.each([0, 1])("lets a spare take over when cell %i is killed on purpose", async (index) => {
    await startPool();
    await pool.assign(request("a"));
    await until(() => pool.spares.length === 1);
    const old = placeOf(index);
    const [spare] = pool.spares;
    const before = await reach(index);
    const incident = incidentOf(old, "cpu");
    pool.end(old, incident);
    // At once, and told with what happened.
    expect(placeOf(index).process).toBe(spare);
    expect(news.at(-1)).toEqual({ lives: pool.lives, incident });
    expect(await reach(index)).not.toBe(before);
    expect(placeOf(index).versionId).toBe(old.versionId);
    await until(() => pool.spares.length === 1);
    await until(() => identify(old.process.workerdPid ?? 0) === undefined);
    expect(news.filter((each) => each.incident)).toHaveLength(1);
  });

  test.each([0, 1])("replaces cell %i when it dies by itself", async (index) => {
    await startPool();
    await pool.assign(request("a"));
    await until(() => pool.spares.length === 1);
    const old = placeOf(index);
    const before = await reach(index);
    process.kill(old.process.workerdPid ?? 0, "SIGKILL");
    await until(() => news.at(-1)?.incident !== undefined);
    expect(news.at(-1)).toEqual({ lives: pool.lives, incident: incidentOf(old, "crash") });
    expect(pool.lives[index]).not.toBe(old.process.life);
    expect(await reach(index)).not.toBe(before);
    await until(() => limits.size === 3);
    expect(limits.has(old.process.workerdPid ?? 0)).toBe(false);
  });

  test("goes on without spares: whoever needs a cell waits for a new one", async () => {
    await startPool({ spares: 0 });
    const { life } = await pool.assign(request("a"));
    const old = placeOf(1);
    pool.end(old, incidentOf(old, "cpu"));
    expect(news.at(-1)).toMatchObject({ lives: [placeOf(0).process.life, null, null] });
    const next = await pool.assign(request("a"));
    expect(next.index).toBe(1);
    expect(next.life).toBeGreaterThan(life);
    expect(news.at(-1)).toEqual({ lives: pool.lives });
    expect(pool.lives[1]).toBe(next.life);
  });

  test.each([0, 1])(
    "rolls a cell: the next process takes the calls, then the old one drains (%i spares)",
    async (spares) => {
      await startPool({ spares });
      await until(() => pool.spares.length === spares);
      const old = placeOf(0);
      const incident = { ...incidentOf(old, "memory"), killed: false };
      pool.roll(old, incident);
      await until(() => placeOf(0).process !== old.process);
      expect(old.process.draining).toBe(true);
      expect(news.slice(1)).toEqual([{ lives: pool.lives, incident }]);
      expect(await old.process.exited).toEqual({ code: 0, signal: null });
      // It was asked to end: nobody is told that it crashed.
      expect(news).toHaveLength(2);
      expect(await reach(0)).toBeDefined();
      const second = placeOf(0);
      pool.roll(second, incident);
      await until(() => placeOf(0).process !== second.process);
    },
  );

  test("kills a cell that is waiting to be rolled, and gives it one process", async () => {
    await startPool({ spares: 0 });
    const old = placeOf(0);
    pool.roll(old, { ...incidentOf(old, "memory"), killed: false });
    pool.end(old, incidentOf(old, "memory"));
    await until(() => pool.places.length === 1);
    await old.process.exited;
    expect(pool.alive).toEqual([placeOf(0).process]);
    expect(news.filter((each) => each.incident)).toHaveLength(1);
  });

  test("ends a dedicated cell that nobody has called for the keep-alive", async () => {
    await startPool({ keepAliveMs: MINUTE_MS });
    await pool.assign(request("a"));
    await pool.assign(request("b"));
    const { process } = placeOf(1);
    pool.noteIdle(process, 2 * MINUTE_MS);
    await until(() => !pool.places.some(({ index }) => index === 1));
    expect(await reach(1)).toBeUndefined();
    expect(news.at(-1)?.lives[1]).toBe(null);
    expect(await process.exited).toEqual({ code: 0, signal: null });
    expect(await reach(2)).toBeDefined();
    expect(news.filter(({ incident }) => incident)).toEqual([]);
  });

  test("gives no process to a cell that dies when nobody has called it for long", async () => {
    await startPool();
    await pool.assign(request("a"));
    const old = placeOf(1);
    pool.noteIdle(old.process, 2 * MINUTE_MS);
    pool.end(old, incidentOf(old, "memory"));
    expect(pool.lives[1]).toBe(null);
    const again = await pool.assign(request("a"));
    expect(again.life).not.toBe(old.process.life);
  });

  test("makes room at once of cells whose versions have successors or other places", async () => {
    await startPool();
    await pool.assign(request("a"));
    await pool.assign(request("b"));
    const state = { generation: 1, namespace: "production", script: "a" };
    pool.supersede([{ ...state, versionId: "a2" }]);
    await pool.assign(request("c"));
    expect([placeOf(1).versionId, placeOf(2).versionId]).toEqual(["c", "b"]);
    await expect(pool.assign(request("d"))).rejects.toThrow("are in use");
  });

  test("keeps cells of versions with a share, and of previews", async () => {
    await startPool();
    const of = (versionId: string, isPreview = false) => ({
      ...request(versionId),
      script: "a",
      isPreview,
    });
    const state = { generation: 1, namespace: "production", script: "a" };
    const dedicated = { kind: "dedicated" as const, why: "", refusedUntilMs: 0 };
    const { defaults: limits } = DEFAULT_PLATFORM_LIMITS;
    const share = { place: dedicated, limits, percentage: 50 };
    const version = { versionId: "a3", place: dedicated };
    const given = { ...state, ...version };
    await pool.assign(of("a1"));
    await pool.assign(of("a2", true));
    // Both stay: a1 has a share, and a2 is called as a preview.
    pool.supersede([{ ...given, shares: ["a1", "a3"].map((id) => ({ ...share, versionId: id })) }]);
    pool.supersede([{ ...state, script: "next-a", previewOf: "a", ...version }]);
    await expect(pool.assign(of("a3"))).rejects.toThrow("are in use");
    // The preview got traffic, and lost it.
    pool.supersede([{ ...given, shares: ["a1", "a2"].map((id) => ({ ...share, versionId: id })) }]);
    pool.supersede([{ ...given, versionId: "a1" }]);
    await pool.assign(of("a3"));
    expect([placeOf(1).versionId, placeOf(2).versionId]).toEqual(["a1", "a3"]);
  });

  test("takes the cell that is idle longest when there is no other, or says that there is none", async () => {
    await startPool();
    await pool.assign(request("a"));
    await pool.assign(request("b"));
    await expect(pool.assign(request("c"))).rejects.toThrow("all 2 dedicated cells are in use");
    const [a, b] = [placeOf(1), placeOf(2)];
    pool.noteIdle(a.process, MINUTE_MS);
    pool.noteIdle(b.process, 2 * MINUTE_MS);
    const { index, life } = await pool.assign(request("c"));
    expect(index).toBe(2);
    // Never a process in which another version has run.
    expect(life).not.toBe(b.process.life);
    expect(placeOf(1).process).toBe(a.process);
    expect(placeOf(2).versionId).toBe("c");
  });

  test("keeps an index to itself until callers know that its version has left", async () => {
    let learn = () => {};
    let isSlow = false;
    await startPool({
      counts: { probation: 1, total: 2 },
      onNews: () =>
        isSlow ? new Promise<void>((resolve) => (learn = resolve)) : Promise.resolve(),
    });
    await pool.assign(request("a"));
    pool.noteIdle(placeOf(1).process, MINUTE_MS);
    isSlow = true;
    const assigned = [request("b"), request("b")].map((each) => pool.assign(each));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(pool.lives[1]).toBe(null);
    isSlow = false;
    learn();
    const [first, second] = await Promise.all(assigned);
    expect(first).toEqual({ index: 1, life: placeOf(1).process.life });
    expect(second).toEqual(first);
  });

  test("tries again when a cell could not be started", async () => {
    let failures = 0;
    await startPool({
      launch: (launch) => {
        if (failures-- > 0) throw new Error("the disk is full");
        return launch();
      },
    });
    failures = 2;
    const old = placeOf(0);
    pool.end(old, incidentOf(old, "cpu"));
    await until(() => failures < 0 && pool.spares.length === 1);
    expect(placeOf(0).process).not.toBe(old.process);
    expect(await reach(0)).toBeDefined();
  });

  test("fails to start with the reason when cells cannot be started at all", async () => {
    const launch = () => {
      throw new Error("the disk is full");
    };
    await expect(startPool({ launch })).rejects.toThrow("the disk is full");
  });

  test("leaves nothing behind when it stops, not even for those who wait", async () => {
    await startPool({ spares: 0 });
    const refused = pool.assign(request("a")).then(
      () => false,
      () => true,
    );
    await until(() => pool.alive.length === 2);
    const pids = pool.alive.map(({ workerdPid }) => workerdPid ?? 0);
    await pool.stop(5000);
    expect(await refused).toBe(true);
    expect(pool.alive).toEqual([]);
    expect(pids.filter((pid) => identify(pid) !== undefined)).toEqual([]);
    await expect(pool.assign(request("b"))).rejects.toThrow("being stopped");
  });
});
