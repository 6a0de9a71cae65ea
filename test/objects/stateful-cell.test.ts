// One stateful cell as the supervisor starts it: the real process, configuration and sandbox, with the built gate.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bundle, EnvValue } from "../../src/protocol/bundle.ts";
import type { CellCall } from "../../src/protocol/hop.ts";
import { startSource } from "../../src/protocol/stateful.ts";
import { readConfig } from "../../src/supervisor/config.ts";
import { dataPaths } from "../../src/supervisor/data-directory.ts";
import { Launcher } from "../../src/supervisor/launcher.ts";
import { socketNames } from "../../src/supervisor/socket-names.ts";
import { ObjectFiles } from "../../src/supervisor/stateful/files.ts";
import { readSurroundings } from "../../src/supervisor/surroundings.ts";
import { findWorkerd } from "../../src/supervisor/workerd-binary.ts";
import type { WorkerdProcess } from "../../src/supervisor/workerd-process.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const VERSION = "11111111-2222-4333-8444-555555555555";

const SOURCE = `
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import text from "./note.txt";
export class Counter extends DurableObject {
  async increment(by) {
    const n = ((await this.ctx.storage.get("n")) ?? 0) + by;
    await this.ctx.storage.put("n", n);
    return n;
  }
  rows() {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS t (x INTEGER)");
    sql.exec("INSERT INTO t VALUES (?)", 7);
    return sql.exec("SELECT count(*) AS n FROM t").one().n;
  }
  async wakeIn(ms) { await this.ctx.storage.setAlarm(Date.now() + ms); }
  async alarm() { await this.ctx.storage.put("rang", ((await this.ctx.storage.get("rang")) ?? 0) + 1); }
  async rang() { return (await this.ctx.storage.get("rang")) ?? 0; }
  async fetch(request) {
    if (request.headers.get("upgrade")) {
      const { 0: client, 1: server } = new WebSocketPair();
      this.ctx.acceptWebSocket(server);
      return new Response(null, { status: 101, webSocket: client });
    }
    return new Response(this.ctx.id.name ?? String(this.ctx.id));
  }
}
export class Named extends WorkerEntrypoint {
  hello(who) { return "hello " + who + " " + JSON.stringify(this.ctx.props); }
  fetch() { return new Response("named " + JSON.stringify(this.ctx.props)); }
}
export default {
  async scheduled({ cron }, env) { await env.COUNTER.getByName(cron).increment(1); },
  async fetch(request, env, ctx) {
    const { pathname, searchParams } = new URL(request.url);
    const stub = env.COUNTER.getByName(searchParams.get("name") ?? "one");
    switch (pathname) {
      case "/increment": return Response.json(await stub.increment(1));
      case "/rows": return Response.json(await stub.rows());
      case "/wake": return Response.json(await stub.wakeIn(Number(searchParams.get("ms"))) ?? null);
      case "/rang": return Response.json(await stub.rang());
      case "/id": return new Response(String(env.COUNTER.idFromName("one")));
      case "/env": return Response.json({ text, secret: env.SECRET, json: env.JSON, props: ctx.props ?? null });
      case "/object": return stub.fetch(request);
      default: return new Response("no", { status: 404 });
    }
  },
};
`;

const encode = (source: string) => new TextEncoder().encode(source);

function bundleOf(env: Bundle["env"] = {}): Bundle {
  return {
    versionId: VERSION,
    compatibilityDate: "2026-11-01",
    compatibilityFlags: [],
    syntax: "modules",
    mainModule: "skep-start.js",
    modules: [
      { name: "main.js", type: "esm", content: encode(SOURCE) },
      { name: "./note.txt", type: "text", content: encode('a "note" äöü') },
      { name: "skep-start.js", type: "esm", content: encode(startSource("main.js", undefined)) },
    ],
    env: {
      COUNTER: objects,
      SECRET: { type: "value", value: "s3cret\n\"'" },
      JSON: { type: "value", value: { a: [1] } },
      ...env,
    },
  };
}

const objects: EnvValue = {
  type: "durable-object-namespace",
  namespace: "production",
  owner: "counter",
  className: "Counter",
  key: KEY,
};

const request = {
  versionId: VERSION,
  namespace: "production",
  script: "counter",
  memoryMb: 128,
  cpuMs: 50,
  isMistrusted: false,
  isPreview: false,
  subrequests: 50,
  objects: { scriptId: "script1", classes: [{ key: KEY, className: "Counter" }] },
};

let folder: string;
let launcher: Launcher;
let files: ObjectFiles;
let cell: WorkerdProcess;
const output: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skep-stateful-"));
  const paths = dataPaths(folder);
  for (const path of Object.values(paths)) mkdirSync(path, { recursive: true });
  launcher = new Launcher({
    config: readConfig({ data: folder }, readSurroundings()),
    paths,
    binary: findWorkerd(),
    workers: join(import.meta.dirname, "../../dist/workers"),
    secretKeys: () => "",
    output: (line) => output.push(line),
  });
  await launcher.prepare();
  files = new ObjectFiles(paths.objects);
  await start();
});

afterAll(async () => {
  cell.kill("SIGKILL");
  await cell.exited;
  rmSync(folder, { recursive: true });
});

async function start(): Promise<void> {
  cell = await launcher.stateful(request, bundleOf(), files.home("script1"));
  await cell.ready.catch((error: unknown) => {
    throw new Error(`${String(error)}\n${output.join("\n")}`);
  });
}

async function kill(): Promise<void> {
  cell.kill("SIGKILL");
  await cell.exited;
  launcher.forget(cell);
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly outcome: { error?: { message: string; remote: boolean }; missing?: boolean };
}

/** As an edge forwards it. */
function call(
  path: string,
  more: Partial<CellCall> = {},
  body?: string,
  method = "GET",
): Promise<Answer> {
  const hop: CellCall = {
    namespace: "production",
    script: "counter",
    method,
    via: [],
    versionId: VERSION,
    args: undefined,
    limits: { cpuMs: 50, wallMs: 5000, subrequests: 50 },
    ...more,
  };
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        socketPath: join(folder, "run", socketNames.cellLife(cell.life)),
        method: "POST",
        path: `http://counter.example${path}`,
        headers: { "x-skep-call": encodeURIComponent(JSON.stringify(hop)) },
        agent: false,
      },
      (incoming) => {
        let text = "";
        incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        incoming.on("error", reject).on("end", () => {
          const outcome = decodeURIComponent(String(incoming.headers["x-skep-outcome"] ?? "{}"));
          resolve({
            status: incoming.statusCode ?? 0,
            text,
            outcome: JSON.parse(outcome) as Answer["outcome"],
          });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

async function answerOf(...given: Parameters<typeof call>): Promise<string> {
  const { text, outcome } = await call(...given);
  return outcome.error?.message ?? text;
}

describe("a stateful cell", () => {
  test("runs the script with its bindings", async () => {
    expect(JSON.parse(await answerOf("/env"))).toEqual({
      text: 'a "note" äöü',
      secret: "s3cret\n\"'",
      json: { a: [1] },
      props: {},
    });
  });

  test("leaves no code and no secret behind in the run directory", () => {
    expect(readdirSync(join(folder, "run/stateful"))).toEqual([]);
    expect(existsSync(join(folder, "run", `cell.${cell.life}.capnp`))).toBe(false);
    expect(output.join("\n")).not.toContain("s3cret");
  });

  test("keeps objects, with SQL", async () => {
    expect(await answerOf("/increment?name=kept")).toBe("1");
    expect(await answerOf("/increment?name=kept")).toBe("2");
    expect(await answerOf("/rows")).toBe("1");
    expect(await answerOf("/rows")).toBe("2");
  });

  test("calls other exports by name, with props", async () => {
    expect(await answerOf("/", { entrypoint: "Named", args: { a: 1 } })).toBe('named {"a":1}');
    expect(await answerOf("/env", { args: { b: 2 } })).toContain('"props":{"b":2}');
    const nodes = JSON.stringify([["array", [1]], "you"]);
    const result = await call("/", { entrypoint: "Named", rpc: "hello" }, nodes, "POST");
    expect(result.text).toBe('["hello you {}"]');
    for (const entrypoint of ["Counter", "SkepStart", "Nobody"]) {
      expect(await answerOf("/", { entrypoint })).toBe(
        `Worker has no such entrypoint: ${entrypoint}`,
      );
    }
  });

  test("calls an object for another script, by name or by id", async () => {
    const id = await answerOf("/id");
    expect(await answerOf("/", { object: { key: KEY, id, name: "one" } })).toBe("one");
    const nodes = JSON.stringify([["array", [1]], 5]);
    const rpc = await call("/", { object: { key: KEY, id }, rpc: "increment" }, nodes, "POST");
    expect(rpc.text).toBe("[5]");
    expect(await answerOf("/", { object: { key: KEY, id, name: "two" } })).toContain(
      "is not the id of that name",
    );
    expect(await answerOf("/", { object: { key: "ff", id } })).toContain(
      "no such Durable Object class",
    );
  });

  test("is given events, and says which it has no handler for", async () => {
    const tick = { type: "scheduled", cron: "* * * * *", scheduledTimeMs: 5 };
    const ran = await call("/", { event: "scheduled" }, JSON.stringify(tick), "POST");
    expect(JSON.parse(ran.text)).toEqual({ outcome: "ok", noRetry: false, isHandled: true });
    expect(await answerOf("/increment?name=" + encodeURIComponent("* * * * *"))).toBe("2");
    const batch = { type: "queue", queue: "q", messages: [] };
    const missed = await call("/", { event: "queue" }, JSON.stringify(batch), "POST");
    expect(JSON.parse(missed.text)).toMatchObject({ outcome: "exception", isHandled: false });
  });

  test("is asked in vain for another version", async () => {
    const { outcome } = await call("/env", { versionId: "22222222-2222-4333-8444-555555555555" });
    expect(outcome.missing).toBe(true);
  });

  test("loses no acknowledged write when it is killed", async () => {
    let acknowledged = 0;
    let writing = true;
    const writers = Array.from({ length: 8 }, async () => {
      while (writing) {
        try {
          const { status, text } = await call("/increment?name=load");
          if (status === 200) acknowledged = Math.max(acknowledged, Number(text));
        } catch {
          return;
        }
      }
    });
    await expect.poll(() => acknowledged).toBeGreaterThan(20);
    await kill();
    writing = false;
    await Promise.all(writers);
    await start();
    expect(Number(await answerOf("/increment?name=load"))).toBeGreaterThan(acknowledged);
  });

  test("says on disk when its next alarm is due, and rings after a kill", async () => {
    const beforeMs = Date.now();
    await answerOf("/wake?name=alarm&ms=1500");
    expect(files.nextAlarm("script1")).toBeGreaterThanOrEqual(beforeMs + 1500);
    await kill();
    expect(files.nextAlarm("script1")).toBeGreaterThanOrEqual(beforeMs + 1500);
    await start();
    await expect.poll(() => answerOf("/rang?name=alarm")).toBe("1");
    expect(files.nextAlarm("script1")).toBeUndefined();
  });

  test("lists its objects, by id", async () => {
    const { ids, isTruncated } = files.list("script1", KEY, "", 100);
    expect(isTruncated).toBe(false);
    expect(ids.length).toBeGreaterThanOrEqual(4);
    const [first = ""] = ids;
    expect(files.list("script1", KEY, first, 1)).toEqual({ ids: [ids[1]], isTruncated: true });
  });
});
