// What the supervisor does about cells and edges that die, on a running platform whose Workers are the fixtures.
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProcessCounters, TrialLoss } from "../protocol/hub.ts";
import type { CellAssignment, CellNews, Incident } from "../protocol/incident.ts";
import { startFixture, temporaryData, type RunningFixture } from "./fixtures/running-fixture.ts";
import { identify } from "./process-identity.ts";

const A = "aaaaaaaa-0000-4000-8000-000000000000";
const B = "bbbbbbbb-0000-4000-8000-000000000000";

const isAlive = (pid: number | null | undefined) => identify(pid ?? 0) !== undefined;
const kill = (pid: number | null | undefined) => process.kill(pid ?? 0, "SIGKILL");

describe("cells of a running platform", () => {
  let platform: RunningFixture;
  const { data, remove } = temporaryData();
  beforeAll(async () => {
    platform = await startFixture(data, { cells: "1", spares: "1" });
    await until(() => cells().spares.length === 1);
  });
  afterAll(() => {
    platform.child.kill("SIGKILL");
    remove();
  });

  const cells = () => platform.processes().cells;
  const http = async (path: string) => (await platform.call(platform.ports.http, path)).text;
  const hub = (path: string) => platform.call(platform.ports.api, path);
  const supervisor = (path: string, body?: unknown) =>
    platform.call(
      platform.ports.api,
      `/supervisor${path}`,
      body === undefined ? undefined : { method: "POST", body: JSON.stringify(body) },
    );
  const assign = async (versionId: string) => {
    const answer = await supervisor("/cells/assign", { versionId, memoryMb: 128, cpuMs: 50 });
    expect(answer.status).toBe(200);
    return JSON.parse(answer.text) as CellAssignment;
  };
  const counters = async () => JSON.parse((await supervisor("/processes")).text) as ProcessCounters;
  const incidentsAtHub = async () => JSON.parse((await hub("/incidents")).text) as Incident[];

  /** What each of the two edges was told last. */
  async function newsOfEdges(): Promise<(CellNews & { incidents: Incident[] })[]> {
    const news = new Map<number, CellNews & { incidents: Incident[] }>();
    while (news.size < 2) {
      const told = JSON.parse(await http("/cells")) as CellNews & {
        index: number;
        incidents: Incident[];
      };
      news.set(told.index, told);
    }
    return [...news.values()];
  }

  /** Resolves when every edge and the hub have been told of it. */
  async function told(life: number): Promise<Incident> {
    const isIt = (incident: Incident) => incident.life === life;
    let atHub: Incident | undefined;
    await until(async () => (atHub = (await incidentsAtHub()).find(isIt)) !== undefined);
    await until(async () => (await newsOfEdges()).every((news) => news.incidents.some(isIt)));
    for (const { incidents } of await newsOfEdges()) {
      expect(incidents.filter(isIt)).toEqual([atHub]);
    }
    return atHub as Incident;
  }

  test("are there from the start, and every edge knows them and can reach them", async () => {
    expect(cells()).toEqual({
      probation: [expect.any(Number), expect.any(Number)],
      dedicated: [],
      spares: [expect.any(Number)],
    });
    expect(await counters()).toEqual({
      edges: 2,
      cells: { probation: 2, dedicated: 0, spare: 1 },
      incidents: {},
    });
    for (const { lives } of await newsOfEdges()) {
      expect(lives).toEqual([expect.any(Number), expect.any(Number), null]);
    }
    const ids = await Promise.all([http("/cell?index=0"), http("/cell?index=1")]);
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(ids[1]).not.toBe(ids[0]);
  });

  test("are assigned on demand, as long as there are any", async () => {
    const { index, life } = await assign(A);
    expect(index).toBe(2);
    expect(await assign(A)).toEqual({ index, life });
    const { pid } = cells().dedicated[0] ?? {};
    expect(cells().dedicated).toEqual([{ index, pid, versionId: A }]);
    await until(async () => (await newsOfEdges()).every(({ lives }) => lives[index] === life));
    expect(await http(`/cell?index=${index}`)).toMatch(/^[0-9a-f-]{36}$/);
    expect(await supervisor("/cells/assign", { versionId: B, memoryMb: 128, cpuMs: 50 })).toEqual({
      status: 503,
      text: "all 1 dedicated cells are in use (--cells)",
    });
  });

  test("are replaced by a spare when they die, and edges and hub are told", async () => {
    const before = await assign(A);
    await until(() => cells().spares.length === 1);
    const [spare] = cells().spares;
    const id = await http("/cell?index=2");
    kill(cells().dedicated[0]?.pid);
    const incident = await told(before.life);
    expect(incident).toMatchObject({
      kind: "crash",
      process: "cell",
      index: 2,
      killed: true,
      named: A,
      certain: true,
      detail: expect.stringMatching(/^cell \d+ was ended by SIGKILL$/),
    });
    expect(cells().dedicated).toEqual([{ index: 2, pid: spare, versionId: A }]);
    expect((await assign(A)).life).not.toBe(before.life);
    expect(await http("/cell?index=2")).not.toBe(id);
    expect((await counters()).incidents).toEqual({ "cell:crash": 1 });
  });

  test("on probation are replaced too", async () => {
    await until(() => cells().spares.length === 1);
    const [{ lives = [] } = {}] = await newsOfEdges();
    const [pid] = cells().probation;
    const [spare] = cells().spares;
    kill(pid);
    expect(await told(lives[0] ?? 0)).toMatchObject({ kind: "crash", index: 0, named: null });
    expect(cells().probation[0]).toBe(spare);
    expect(await http("/cell?index=0")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.runIf(process.platform === "linux")("are killed when they are stuck", async () => {
    await until(() => cells().spares.length === 1);
    const [{ lives = [] } = {}] = await newsOfEdges();
    const [, pid] = cells().probation;
    await http("/cell?index=1&spin=1");
    // By its CPU time, or on a machine too busy for that by its silence.
    const kind = expect.stringMatching(/^(?:cpu|crash)$/);
    expect(await told(lives[1] ?? 0)).toMatchObject({ kind, index: 1, killed: true });
    expect(isAlive(pid)).toBe(false);
    expect(await http("/cell?index=1")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("tell a hub that was away of what happened meanwhile", async () => {
    const { life } = await assign(A);
    kill(platform.processes().hub);
    kill(cells().dedicated[0]?.pid);
    expect(await told(life)).toMatchObject({ kind: "crash", index: 2 });
  });

  test("and edges alike: the others and the hub are told when an edge dies", async () => {
    const { life, index } = JSON.parse(await http("/")) as { life: number; index: number };
    kill(platform.processes().edges[index]);
    let atHub: Incident | undefined;
    await until(async () => {
      atHub = (await incidentsAtHub()).find((incident) => incident.life === life);
      return atHub !== undefined;
    });
    expect(atHub).toMatchObject({ kind: "crash", process: "edge", index, killed: true });
    await until(() => !platform.processes().edges.includes(null));
    // The new edge is told of the cells without anything having happened to them.
    await until(async () => (await newsOfEdges()).every(({ lives }) => lives?.length === 3));
    const [first, second] = await newsOfEdges();
    expect(first?.lives).toEqual(second?.lives);
  });

  test("for trials: who lost one learns why, and a loss that nobody asked for is forgotten", async () => {
    const replace = async () =>
      JSON.parse((await supervisor("/trial/replace", {})).text) as TrialLoss;
    const { trial } = platform.processes();
    kill(trial);
    await until(() => ![trial, null].includes(platform.processes().trial));
    const successor = platform.processes().trial;
    expect(await replace()).toEqual({ kind: "crash" });
    expect(platform.processes().trial).toBe(successor);
    expect(await replace()).toEqual({ kind: null });
    expect(isAlive(successor)).toBe(false);
  });

  test("end with the platform", async () => {
    const { all } = platform.processes();
    platform.child.kill("SIGTERM");
    const [code] = (await once(platform.child, "exit")) as [number];
    expect(code).toBe(0);
    expect(all.length).toBeGreaterThan(8);
    expect(all.filter(({ pid }) => isAlive(pid))).toEqual([]);
  });
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
