/**
 * Durable Objects of functions on the real platform: deployed through the API, called through an edge, killed, woken,
 * deleted.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, uploadForm, type Platform } from "../platform.ts";
import { RawWebSocket } from "../web-socket.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "1"] });
});

afterAll(async () => {
  await platform.stop();
});

const SOURCE = (version: string) => `
import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  async increment() {
    console.log("object counts");
    const n = ((await this.ctx.storage.get("n")) ?? 0) + 1;
    await this.ctx.storage.put("n", n);
    return n;
  }
  async wakeIn(ms) { await this.ctx.storage.setAlarm(Date.now() + ms); }
  async alarm() {
    console.log("alarm rings");
    if (await this.ctx.storage.get("spins")) for (;;);
    if (await this.ctx.storage.delete("fails")) throw new Error("no bell");
    await this.ctx.storage.put("rang", ((await this.ctx.storage.get("rang")) ?? 0) + 1);
  }
  async rang() { return (await this.ctx.storage.get("rang")) ?? 0; }
  async failAtAlarm() { await this.ctx.storage.put("fails", true); await this.wakeIn(0); }
  async spinAtAlarm() { await this.ctx.storage.put("spins", true); await this.wakeIn(0); }
  spin() { for (;;); }
  async eat() {
    const eaten = [];
    for (;;) { eaten.push(new Uint8Array(8 << 20).fill(1)); await scheduler.wait(1); }
  }
  fetch(request) {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }
  webSocketMessage(socket, message) { socket.send(JSON.stringify("echo " + message)); }
}
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const stub = env.COUNTER.getByName(searchParams.get("name") ?? "one");
    switch (pathname) {
      case "/version": return new Response("${version}");
      case "/increment": return Response.json(await stub.increment());
      case "/wake": return Response.json((await stub.wakeIn(Number(searchParams.get("ms")))) ?? null);
      case "/rang": return Response.json(await stub.rang());
      case "/fail-alarm": return Response.json((await stub.failAtAlarm()) ?? null);
      case "/spin-alarm": return Response.json((await stub.spinAtAlarm()) ?? null);
      case "/spin": return Response.json(await stub.spin());
      case "/socket": return stub.fetch(request);
      case "/eat": return Response.json(await stub.eat());
      case "/slow": await scheduler.wait(Number(searchParams.get("ms"))); return new Response("${version}");
      default: return new Response("no", { status: 404 });
    }
  },
};
`;

function deploy(
  script: string,
  version: string,
  migrations: object | undefined = undefined,
  bindings: object[] = [
    { type: "durable_object_namespace", name: "COUNTER", class_name: "Counter" },
  ],
): Promise<void> {
  return platform.deploy(
    script,
    uploadForm(SOURCE(version), { bindings, ...(migrations && { migrations }) }),
  );
}

const SCRIPTS = "/workers/dispatch/namespaces/production/scripts";
const FIRST = { new_tag: "v1", steps: [{ new_sqlite_classes: ["Counter"] }] };

async function get(script: string, path: string): Promise<string> {
  const response = await platform.fetch(script, path);
  const text = await response.text();
  return response.status === 200 ? text : `${response.status} ${text}`;
}

interface Processes {
  readonly supervisor: number;
  readonly cells: { readonly dedicated: readonly { pid: number; versionId: string }[] };
}

async function dedicated(): Promise<readonly { pid: number }[]> {
  const text = await readFile(join(platform.data, "run/processes.json"), "utf8");
  return (JSON.parse(text) as Processes).cells.dedicated;
}

const directories = () => readdir(join(platform.data, "objects"));

describe("a script with Durable Objects", () => {
  test("keeps what its objects are told", async () => {
    await deploy("counter", "one", FIRST);
    expect(await get("counter", "/increment")).toBe("1");
    expect(await get("counter", "/increment")).toBe("2");
    expect(await get("counter", "/increment?name=two")).toBe("1");
    expect(await directories()).toHaveLength(1);
  });

  test("is one process, and keeps its objects through the next version", async () => {
    await expect.poll(dedicated).toHaveLength(1);
    const before = await dedicated();
    // While requests come all the time.
    const answers: string[] = [];
    let isDeployed = false;
    const clients = Array.from({ length: 4 }, async () => {
      while (!isDeployed) answers.push(await get("counter", "/increment"));
    });
    await deploy("counter", "two");
    expect(await get("counter", "/version")).toBe("two");
    isDeployed = true;
    await Promise.all(clients);
    expect(answers.filter((answer) => !/^\d+$/.test(answer))).toEqual([]);
    expect(new Set(answers).size).toBe(answers.length);
    expect(Number(await get("counter", "/increment"))).toBe(3 + answers.length);
    await expect.poll(dedicated).toHaveLength(1);
    const after = await dedicated();
    expect(after[0]?.pid).not.toBe(before[0]?.pid);
  });

  test("loses no acknowledged write when its process is killed again and again", async () => {
    let acknowledged = 0;
    let isOver = false;
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const answer = await get("counter", "/increment?name=killed");
        if (/^\d+$/.test(answer)) acknowledged = Math.max(acknowledged, Number(answer));
      }
    });
    for (let round = 0; round < 5; round++) {
      const from = acknowledged;
      await expect.poll(() => acknowledged).toBeGreaterThan(from + 20);
      const [cell] = await dedicated();
      if (cell !== undefined) process.kill(cell.pid, "SIGKILL");
    }
    const from = acknowledged;
    await expect.poll(() => acknowledged).toBeGreaterThan(from);
    isOver = true;
    await Promise.all(clients);
    expect(Number(await get("counter", "/increment?name=killed"))).toBeGreaterThan(acknowledged);
  });

  test("is killed when an object spins, and convicted", async () => {
    await deploy("spinner", "one", FIRST);
    expect(await get("spinner", "/increment")).toBe("1");
    expect(await get("spinner", "/spin")).toContain("1102");
    await expect.poll(() => get("spinner", "/increment")).toBe("2");
  });

  test("rings its alarms after the whole platform was killed, without any request", async () => {
    await deploy("alarm", "one", FIRST);
    await get("alarm", "/wake?ms=3000");
    await platform.kill("supervisor");
    await platform.restart();
    const rang = async () => {
      const cells = await dedicated();
      return cells.length;
    };
    // Nobody has called it: it is the alarm that starts the cell.
    await expect.poll(rang).toBe(1);
    await expect.poll(() => get("alarm", "/rang")).toBe("1");
    expect(await get("counter", "/increment?name=two")).toBe("2");
  });

  test("has its alarms counted as invocations", async () => {
    await deploy("counted", "one", FIRST);
    let calls = 0;
    const call = (path: string) => {
      calls++;
      return get("counted", path);
    };
    for (const rang of ["1", "2"]) {
      await call("/wake?ms=100");
      await expect.poll(() => call("/rang")).toBe(rang);
    }
    // It is tried again, and rings then.
    await call("/fail-alarm");
    await expect.poll(() => call("/rang")).toBe("3");
    const kinds = async () => {
      const response = await platform.api("GET", `${SCRIPTS}/counted/metrics`);
      const { result } = (await response.json()) as {
        result: { kinds: { kind: string; requests: number; errors: number; statuses: object }[] };
      };
      return result.kinds.map(({ kind, requests, errors, statuses }) => ({
        kind,
        requests,
        errors,
        statuses,
      }));
    };
    await expect.poll(kinds).toEqual([
      { kind: "fetch", requests: calls, errors: 0, statuses: { "2xx": calls } },
      { kind: "alarm", requests: 4, errors: 1, statuses: { none: 4 } },
    ]);
  });

  test("is tailed with what its objects and their alarms log", async () => {
    await deploy("talker", "one", FIRST);
    await get("talker", "/version");
    const opened = await platform.api("POST", `${SCRIPTS}/talker/tails`, { filters: [] });
    const { result } = (await opened.json()) as { result: { url: string } };
    const socket = await RawWebSocket.open(result.url);
    await get("talker", "/increment");
    await get("talker", "/wake?ms=50");
    const seen: string[] = [];
    while (seen.length < 2) {
      const { entrypoint, logs, event } = (await socket.next()) as {
        entrypoint?: string;
        logs: { message: string[] }[];
        event: object;
      };
      const kind = "scheduledTime" in event ? "alarm" : "call";
      for (const { message } of logs) seen.push(`${kind} of ${entrypoint}: ${message.join()}`);
    }
    expect(seen).toEqual(["call of Counter: object counts", "alarm of Counter: alarm rings"]);
    socket.destroy();
  });

  test("is killed by an alarm that spins, which is tried again later and later", async () => {
    await deploy("bell", "one", FIRST);
    expect(await get("bell", "/spin-alarm")).toBe("null");
    const ends = async () => {
      const answer = await platform.api("GET", `${SCRIPTS}/bell/placement`);
      return JSON.stringify(await answer.json());
    };
    await expect.poll(ends).toContain("convicted");
    expect(await get("counter", "/version")).toBe("two");
  });

  test("is killed when an object eats memory, and comes back with what it had stored", async () => {
    await deploy("eater", "one", FIRST);
    expect(await get("eater", "/increment")).toBe("1");
    expect(await get("eater", "/eat")).toMatch(/1102|503/);
    await expect.poll(() => get("eater", "/increment")).toBe("2");
  });

  test("speaks by WebSockets, which a new version ends", async () => {
    const { port } = new URL(platform.wranglerEnv.SKEP_URL);
    const url = `ws://counter.production.localhost:${port}/socket`;
    const socket = await RawWebSocket.open(url, "any", "127.0.0.1");
    socket.sendUnmasked("text", "hello");
    expect(await socket.next()).toBe("echo hello");
    await deploy("counter", "three");
    expect(await get("counter", "/version")).toBe("three");
    expect(await socket.next()).toBeUndefined();
    socket.destroy();
  });

  test("leaves nothing on disk when it is deleted", async () => {
    const before = await directories();
    const path = `${SCRIPTS}/counter?force=true`;
    expect((await platform.api("DELETE", path)).status).toBe(200);
    await expect.poll(directories).toHaveLength(before.length - 1);
  });
});
