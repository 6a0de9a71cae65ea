// Real workerd processes whose trusted Worker keeps a ledger, and tenants that do what tenants do.
import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { startKeeper, type Keeper } from "./fixtures/keeper-process.ts";
import { Watch, type Verdict, type WatchedLimits } from "./watch.ts";

// What tenants do here is measured in CPU time, of which a busy machine gives little.
vi.setConfig({ testTimeout: 60_000 });

const MIB = 2 ** 20;
const PROBATION: WatchedLimits = { role: "probation", memoryBudgetBytes: 1024 * MIB };

interface Scene extends Keeper {
  readonly watch: Watch;
  readonly verdicts: Verdict[];
  /** Resolves with the verdict that asks for a kill, which is then done. */
  readonly killed: Promise<Verdict>;
}

async function watched(
  limits: WatchedLimits = PROBATION,
  options: { markers?: boolean; cpuMs?: number } = {},
): Promise<Scene> {
  const keeper = await startKeeper(options);
  const verdicts: Verdict[] = [];
  const { promise: killed, resolve } = Promise.withResolvers<Verdict>();
  const watch = new Watch({
    onVerdict: (verdict) => {
      verdicts.push(verdict);
      if (verdict.action !== "kill") return;
      void keeper.kill();
      resolve(verdict);
    },
  });
  onTestFinished(async () => {
    watch.stop();
    await keeper.kill();
  });
  const { pid, ledgerKey, markers, outputBytes } = keeper;
  watch.add({ pid, ledgerKey, markers, output: outputBytes, ...limits });
  while (watch.counters.ledgers === 0) await sleep(5);
  return { ...keeper, watch, verdicts, killed };
}

/** A heartbeat every so often, as the supervisor sends them. */
function beat(scene: Scene): void {
  const timer = setInterval(() => {
    const answered = scene.watch.heartbeat(scene.pid);
    void scene.heartbeat().then(answered);
  }, 100);
  onTestFinished(() => clearInterval(timer));
}

describe.runIf(Watch.supported)("a process that a tenant keeps busy", () => {
  const acts = ["loop", "later", "regex", "microtasks", "wasm", "native", "json", "sort"];

  test.each(acts)("is stuck, by the one who started last: %s", async (act) => {
    const scene = await watched();
    const [bystander, culprit] = [randomUUID(), randomUUID()];
    void scene.invoke("wait", bystander);
    await sleep(100);
    void scene.invoke(act, culprit);
    expect(await scene.killed).toMatchObject({
      pid: scene.pid,
      kind: "cpu",
      named: culprit,
      certain: false,
      involved: [culprit, bystander],
    });
  });

  test("is stuck by whoever is alone in it, also after the answer", async () => {
    for (const act of ["loop", "afterwards"]) {
      const scene = await watched(PROBATION, { markers: false });
      const culprit = randomUUID();
      void scene.invoke(act, culprit);
      const blame = { named: culprit, certain: true, involved: [culprit] };
      expect(await scene.killed).toMatchObject(blame);
      expect(scene.watch.postMortem(scene.pid)).toEqual(blame);
    }
  });

  test("is not blamed on a neighbour alone if somebody hangs after the answer", async () => {
    const scene = await watched();
    const [bystander, culprit] = [randomUUID(), randomUUID()];
    void scene.invoke("wait", bystander);
    await sleep(100);
    void scene.invoke("afterwards", culprit);
    const { named, certain, involved } = await scene.killed;
    expect({ named, certain }).toEqual({ named: null, certain: false });
    expect(involved).toEqual([bystander, culprit]);
  });

  test("names nobody among several if there are no markers", async () => {
    const scene = await watched(PROBATION, { markers: false });
    const versions = [randomUUID(), randomUUID()];
    void scene.invoke("wait", versions[0] ?? "");
    await sleep(100);
    void scene.invoke("loop", versions[1] ?? "");
    const { named, certain, involved } = await scene.killed;
    expect({ named, certain }).toEqual({ named: null, certain: false });
    expect(involved.toSorted()).toEqual(versions.toSorted());
  });

  test("is stuck if all it does is write lines", async () => {
    const scene = await watched();
    const [bystander, culprit] = [randomUUID(), randomUUID()];
    void scene.invoke("wait", bystander);
    await sleep(100);
    void scene.invoke("log", culprit);
    const { detail, named } = await scene.killed;
    expect(detail).toMatch(/without progress/);
    expect(named).toBe(culprit);
  });

  test("is its only version's, whatever the ledger says, once it is a dedicated cell", async () => {
    const scene = await watched({ role: "spare" });
    const only = randomUUID();
    scene.watch.update(scene.pid, {
      role: "dedicated",
      versionId: only,
      memoryLimitBytes: 128 * MIB,
    });
    void scene.invoke("loop", randomUUID());
    expect(await scene.killed).toMatchObject({ named: only, certain: true, involved: [only] });
  });
});

describe.runIf(Watch.supported)("a process that a tenant fills", () => {
  // What they use of the CPU is theirs: it is the memory that counts here.
  const cpuMs = 30_000;
  const acts = ["objects", "buffers", "strings", "memory"];

  test.each(acts)("is killed before it dies by itself, and the one named: %s", async (act) => {
    const scene = await watched({ role: "probation", memoryBudgetBytes: 200 * MIB }, { cpuMs });
    const [bystander, culprit] = [randomUUID(), randomUUID()];
    await scene.invoke("hello", bystander);
    void scene.invoke(act, culprit);
    const blame = { kind: "memory", named: culprit, involved: [culprit] };
    expect(await Promise.race([scene.killed, scene.exited])).toMatchObject(blame);
    expect(scene.verdicts.map(({ action }) => action)).toEqual(["replace", "kill"]);
    expect(scene.verdicts[0]).toMatchObject(blame);
  });

  test.each([...acts, "slowly"])("is killed at its limit if it is dedicated: %s", async (act) => {
    const limits = { role: "dedicated", memoryLimitBytes: 32 * MIB } as const;
    const scene = await watched(limits, { cpuMs });
    void scene.invoke(act, randomUUID());
    expect(await Promise.race([scene.killed, scene.exited])).toMatchObject({ kind: "memory" });
  });

  test("tells who filled it when it has died by itself", async () => {
    const scene = await watched({ role: "probation" }, { cpuMs });
    const [bystander, culprit] = [randomUUID(), randomUUID()];
    await scene.invoke("hello", bystander);
    void scene.invoke("buffers", culprit);
    await sleep(1000);
    // As the kernel does when the machine runs out of memory.
    process.kill(scene.pid, "SIGKILL");
    await scene.exited;
    expect(scene.verdicts).toEqual([]);
    expect(scene.watch.postMortem(scene.pid)).toMatchObject({
      named: culprit,
      involved: [culprit],
    });
    scene.watch.remove(scene.pid);
    expect(scene.watch.postMortem(scene.pid).involved).toEqual([]);
  });
});

describe.runIf(Watch.supported)("a process that tenants use as they may", () => {
  const loads = [
    { act: "burst", connections: 2, versions: 2 },
    { act: "burst", connections: 8, versions: 8 },
    { act: "burst", connections: 32, versions: 4 },
    { act: "long", connections: 1, versions: 1 },
    { act: "hello", connections: 64, versions: 8 },
  ];

  test.each(loads)("is left alone: %o", async ({ act, connections, versions }) => {
    // As in an edge, where progress is the hardest to see.
    const scene = await watched(PROBATION, { markers: false });
    beat(scene);
    const ids = Array.from({ length: versions }, () => randomUUID());
    const end = performance.now() + 1500;
    const statuses = new Set<number | undefined>();
    const one = async (index: number) => {
      const id = ids[index % versions] ?? "";
      while (performance.now() < end) statuses.add(await scene.invoke(act, id));
    };
    await Promise.all(Array.from({ length: connections }, (_, index) => one(index)));
    expect(scene.verdicts).toEqual([]);
    expect([...statuses]).toEqual([200]);
  });

  test("is left alone while it passes 100 MiB on, a dedicated cell too", async () => {
    const scene = await watched({ role: "dedicated", memoryLimitBytes: 128 * MIB });
    beat(scene);
    const piece = Buffer.alloc(MIB / 4);
    const body = () => Readable.from(Array.from({ length: 400 }, () => piece));
    expect(await scene.invoke("echo", randomUUID(), body())).toBe(200);
    expect(scene.verdicts).toEqual([]);
  });

  test("is left alone when idle, and looked at less often", async () => {
    const scene = await watched();
    const before = scene.watch.counters.looks;
    await sleep(1000);
    expect(scene.verdicts).toEqual([]);
    expect(scene.watch.counters.looks - before).toBeLessThan(50);
  });
});
