// The supervisor with real workerd processes. Their Workers are the fixtures, so that what is tested is what the
// supervisor does: wiring, replacing, draining.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";
import {
  failToStart,
  startFixture,
  temporaryData,
  type RunningFixture,
} from "./fixtures/running-fixture.ts";
import { identify } from "./process-identity.ts";

interface EdgeAnswer {
  readonly index: number;
  readonly life: number;
  readonly routing: unknown;
}

// Not whether the pid is taken: where nobody reaps orphans, killed ones keep theirs.
const isAlive = (pid: number) => identify(pid) !== undefined;
const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe("a running platform", () => {
  let platform: RunningFixture;
  const { data, remove } = temporaryData();
  beforeAll(async () => {
    platform = await startFixture(data);
  });
  afterAll(() => {
    platform.child.kill("SIGKILL");
    remove();
  });

  const edgePids = () => platform.processes().edges.filter((pid) => pid !== null);
  const http = (path: string) => platform.call(platform.ports.http, path);
  const api = (path: string, init?: { method: string; body: string }) =>
    platform.call(platform.ports.api, path, init);
  const post = (path: string, body: unknown = {}) =>
    api(path, { method: "POST", body: JSON.stringify(body) });

  /** Answers of all edges, by index: asks until each has answered. */
  async function askEachEdge(): Promise<Map<number, EdgeAnswer>> {
    const answers = new Map<number, EdgeAnswer>();
    while (answers.size < 2) {
      const got = await Promise.all(Array.from({ length: 8 }, () => http("/")));
      for (const { text } of got) {
        const answer = JSON.parse(text) as EdgeAnswer;
        answers.set(answer.index, answer);
      }
    }
    return answers;
  }

  test("bootstraps the hub with the account and a hash of the token", async () => {
    const token = readFileSync(join(data, "token"), "utf8").trim();
    expect(JSON.parse((await api("/account")).text)).toEqual({
      accountId: platform.state.accountId,
      accountName: "Skep",
      namespace: "production",
      tokenHash: createHash("sha256").update(token).digest("hex"),
      platform: {
        baseDomain: "localhost",
        apiUrl: `${platform.state.apiUrl}/client/v4`,
        httpPort: platform.ports.http,
        httpsPort: platform.ports.https,
        limits: DEFAULT_PLATFORM_LIMITS,
        isolation: "shared",
        cells: { probation: 2, total: 130 },
      },
      secretKeyBytes: 32,
    });
    expect(platform.state.isFirstStart).toBe(true);
  });

  test("connects every process with those that it needs", async () => {
    expect(JSON.parse((await http("/")).text)).toMatchObject({
      count: 2,
      baseDomain: "localhost",
      serverTiming: "on",
      flushMs: "250",
      dispatcher: "the fixture's",
    });
    expect((await http("/hub")).text).toBe("state of the hub");
    expect((await api("/blob")).text).toBe("kept");
    expect((await api("/trial-cell")).text).toMatch(/^[0-9a-f-]{36}$/);
    const peers = await Promise.all([http("/peer?index=0"), http("/peer?index=1")]);
    expect(peers.map(({ text }) => JSON.parse(text) as unknown)).toMatchObject([
      { peer: 0, url: `http://127.0.0.1:${platform.ports.http}/peer?index=0` },
      { peer: 1, url: `http://127.0.0.1:${platform.ports.http}/peer?index=1` },
    ]);
  });

  test("lets edges out only through the egress, which refuses this machine", async () => {
    const url = encodeURIComponent(`http://127.0.0.1:${platform.ports.api}/account`);
    expect((await http(`/egress?url=${url}`)).text).toBe("refused");
  });

  test("acknowledges a change of routing when every edge has it", async () => {
    const update = { scripts: [], routes: { generation: 7, routes: [] } };
    expect((await post("/supervisor/routing", update)).status).toBe(204);
    const answers = await askEachEdge();
    expect([...answers.values()].map(({ routing }) => routing)).toEqual([update, update]);
  });

  test("replaces the trial cell", async () => {
    const before = (await api("/trial-cell")).text;
    expect(JSON.parse((await post("/supervisor/trial/replace")).text)).toEqual({ kind: null });
    const after = (await api("/trial-cell")).text;
    expect(after).toMatch(/^[0-9a-f-]{36}$/);
    expect(after).not.toBe(before);
  });

  test.runIf(process.platform === "linux")("tells the CPU time of an edge", async () => {
    const read = async () =>
      JSON.parse((await api("/supervisor/cpu?edge=1")).text) as { life: number; cpuMs: number };
    const before = await read();
    await Promise.all(Array.from({ length: 20 }, () => http("/")));
    const after = await read();
    expect(before.cpuMs).toBeGreaterThan(0);
    expect(after.cpuMs).toBeGreaterThanOrEqual(before.cpuMs);
    expect(after.life).toBe((await askEachEdge()).get(1)?.life);
    expect((await api("/supervisor/cpu?edge=2")).status).toBe(404);
  });

  test("answers connections that came while all edges were dead", async () => {
    const dead = edgePids();
    for (const pid of dead) process.kill(pid, "SIGKILL");
    const answers = await Promise.all(Array.from({ length: 10 }, () => http("/")));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(dead.filter(isAlive)).toEqual([]);
    await askEachEdge();
    await until(() => edgePids().length === 2);
  });

  test("answers API calls that came while the hub was dead, with the state of before", async () => {
    process.kill(platform.processes().hub ?? 0, "SIGKILL");
    const answers = await Promise.all(Array.from({ length: 5 }, () => api("/account")));
    for (const { status, text } of answers) {
      expect(status).toBe(200);
      expect(text).toContain(platform.state.accountId);
    }
  });

  test("presents a certificate for new names, and lets the old edges go", async () => {
    const old = edgePids();
    await api("/names?add=*.shop.localhost");
    expect((await post("/supervisor/certificate")).status).toBe(204);
    const names = await certificateNames(platform.ports.https, join(data, "ca/ca.pem"));
    expect(names).toContain("DNS:*.shop.localhost");
    await until(() => !old.some(isAlive));
    const rolled = edgePids();
    // The names are the same now: nothing is replaced.
    expect((await post("/supervisor/certificate")).status).toBe(204);
    expect(edgePids()).toEqual(rolled);
  });

  test("kills an edge that does not take a change of routing, and only that", async () => {
    const before = edgePids();
    const { index } = JSON.parse((await http("/hang")).text) as EdgeAnswer;
    expect((await post("/supervisor/routing", { scripts: [] })).status).toBe(204);
    const hung = before[index];
    expect(isAlive(hung ?? 0)).toBe(false);
    expect((await askEachEdge()).size).toBe(2);
    expect(platform.processes().edges[1 - index]).toBe(before[1 - index]);
  });

  test("finishes running requests when it is told to stop, and leaves nothing behind", async () => {
    const { supervisor, hub, egress, trial, edges } = platform.processes();
    const slow = http("/slow?ms=600");
    await new Promise((resolve) => setTimeout(resolve, 100));
    platform.child.kill("SIGTERM");
    const [[code], { status }] = await Promise.all([once(platform.child, "exit"), slow]);
    expect({ code, status }).toEqual({ code: 0, status: 200 });
    expect([supervisor, hub, egress, trial, ...edges].filter((pid) => isAlive(pid ?? 0))).toEqual(
      [],
    );
    expect(
      ["run/platform.json", "run/processes.json", "lock"].filter((name) =>
        existsSync(join(data, name)),
      ),
    ).toEqual([]);
  });
});

test("starts again on the same data and ports after the supervisor was killed", async () => {
  const { data, remove } = temporaryData();
  onTestFinished(remove);
  const first = await startFixture(data);
  const { all } = first.processes();
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  const { http, https, api } = first.ports;
  const ports = { port: String(http), "https-port": String(https), "api-port": String(api) };
  const second = await startFixture(data, ports);
  onTestFinished(() => void second.child.kill("SIGKILL"));
  expect(all.filter(({ pid }) => isAlive(pid))).toEqual([]);
  expect(second.state.isFirstStart).toBe(false);
  expect(second.state.accountId).toBe(first.state.accountId);
  expect((await second.call(second.ports.http, "/")).status).toBe(200);

  // While it runs, neither its directory nor its ports are free.
  const other = temporaryData();
  onTestFinished(other.remove);
  expect(await failToStart(data)).toEqual({
    code: 1,
    stderr: expect.stringMatching(
      /^--data: .* is in use by a platform that runs already \(process \d+\).*\n$/,
    ),
  });
  expect(await failToStart(other.data, { port: String(http) })).toEqual({
    code: 1,
    stderr: expect.stringMatching(
      /^--port: port \d+ on 127.0.0.1 is in use by another program.*\n$/,
    ),
  });
}, 30_000);

test("fails with the Worker's own words when a process cannot start", async () => {
  const { data, remove } = temporaryData();
  onTestFinished(remove);
  const { code, stderr } = await failToStart(data, { dispatcher: import.meta.filename });
  expect(code).toBe(1);
  expect(stderr).toContain("SyntaxError");
});

/** Rejects if the handshake fails: the client trusts only this CA. */
function certificateNames(port: number, caFile: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      { host: "127.0.0.1", port, servername: "a.shop.localhost", ca: readFileSync(caFile) },
      () => {
        resolve(socket.getPeerCertificate().subjectaltname ?? "");
        socket.destroy();
      },
    );
    socket.on("error", reject);
  });
}
