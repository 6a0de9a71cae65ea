/** Tails, kept logs and Tail Workers on the real platform, of functions in cells and in edges. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";
import { RawWebSocket } from "./web-socket.ts";
import { createProject, startWrangler, wrangler } from "./wrangler.ts";

const CLI = join(import.meta.dirname, "../dist/cli.js");
const NAMESPACES = "/workers/dispatch/namespaces";
const CANARY = "canary-9f1c-of-the-environment";

/** Does as its path says. */
const TALKER = `
  export default {
    async fetch(request, env, ctx) {
      const { pathname, searchParams } = new URL(request.url);
      console.log("hello", { path: pathname }, searchParams.get("n"));
      if (pathname === "/warn") console.warn("careful");
      if (pathname === "/throw") throw new TypeError("it broke");
      if (pathname === "/spin") for (;;);
      if (pathname === "/slow") await scheduler.wait(60_000);
      if (pathname === "/background") {
        ctx.waitUntil(scheduler.wait(300).then(() => console.log("afterwards")));
      }
      return new Response("ok", { status: pathname === "/teapot" ? 418 : 200 });
    }
  };`;

/** Keeps what it was told, and logs. */
const COLLECTOR = `
  const told = [];
  export default {
    fetch: () => Response.json(told),
    tail(events, env, ctx) {
      console.log("told of", events.length);
      told.push(...events);
    }
  };`;

interface Tail {
  readonly id: string;
  readonly url: string;
  readonly expires_at: string;
}

interface Event {
  readonly outcome: string;
  readonly scriptName: string;
  readonly scriptVersion: { readonly id: string };
  readonly scriptTags: readonly string[];
  readonly dispatchNamespace: string;
  readonly logs: readonly { readonly message: unknown; readonly level: string }[];
  readonly exceptions: readonly {
    readonly name: string;
    readonly message: string;
    readonly stack?: string;
  }[];
  readonly wallTime: number;
  readonly cpuTime: number;
  readonly truncated: boolean;
  readonly event: {
    readonly request?: {
      readonly url: string;
      readonly method: string;
      readonly headers: Record<string, string>;
    };
    readonly response?: { readonly status: number };
    readonly consumedEvents?: unknown;
    readonly type?: string;
  };
}

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "2"] });
  for (const [name, isolation] of [
    ["edges", "trusted"],
    ["apart", "dedicated"],
  ]) {
    await platform.api("POST", NAMESPACES, { name });
    await platform.api("PATCH", `${NAMESPACES}/${name}`, { isolation });
  }
}, 60_000);

afterAll(() => platform.stop(), 60_000);

async function deploy(
  namespace: string,
  script: string,
  source: string,
  metadata: object = {},
): Promise<void> {
  const form = new FormData();
  form.set(
    "metadata",
    JSON.stringify({
      main_module: "index.js",
      compatibility_date: "2026-11-01",
      bindings: [{ type: "secret_text", name: "CANARY", text: CANARY }],
      ...metadata,
    }),
  );
  const type = "application/javascript+module";
  form.set("index.js", new File([source], "index.js", { type }));
  await platform.deploy(script, form, namespace);
}

async function result<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await platform.api(method, `${NAMESPACES}/${path}`, body);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return (JSON.parse(text) as { result: T }).result;
}

async function openTail(path: string, ...filters: object[]): Promise<RawWebSocket> {
  const { url } = await result<Tail>("POST", `${path}/tails`, { filters });
  return RawWebSocket.open(url);
}

async function call(namespace: string, script: string, path: string, headers = {}) {
  const response = await platform.fetchHost(`${script}.${namespace}.localhost`, path, { headers });
  await response.text();
  return response;
}

function cli(...args: string[]): Promise<{ stdout: string }> {
  const parameters = [CLI, ...args, "--data", platform.data];
  return promisify(execFile)(process.execPath, parameters);
}

const next = async (socket: RawWebSocket) => (await socket.next()) as Event;

describe.each(["edges", "production", "apart"])("a function in the namespace %s", (namespace) => {
  beforeAll(() => deploy(namespace, "talker", TALKER, { tags: ["blue"] }));

  test("is tailed as wrangler does it", async () => {
    await call(namespace, "talker", "/before");
    const socket = await openTail(`${namespace}/scripts/talker`);
    expect(socket.head.toLowerCase()).toContain("sec-websocket-protocol: trace-v1");
    socket.sendUnmasked("text", JSON.stringify({ debug: false }));
    socket.sendUnmasked("ping", "wrangler tail ping");
    expect(await socket.pong()).toBe("wrangler tail ping");

    await call(namespace, "talker", "/teapot?n=1", { authorization: "Bearer x", cookie: "a=b" });
    const event = await next(socket);
    expect(event).toMatchObject({
      outcome: "ok",
      scriptName: "talker",
      scriptTags: ["blue"],
      dispatchNamespace: namespace,
      logs: [{ message: ["hello", { path: "/teapot" }, "1"], level: "log" }],
      exceptions: [],
      truncated: false,
      event: { request: { method: "GET" }, response: { status: 418 } },
    });
    const { headers = {}, url = "" }: Partial<NonNullable<Event["event"]["request"]>> =
      event.event.request ?? {};
    expect(new URL(url).search).toBe("?n=1");
    expect([headers["authorization"], headers["cookie"]]).toEqual(["REDACTED", "REDACTED"]);
    expect(headers["cf-connecting-ip"]).toBe("127.0.0.1");

    expect((await call(namespace, "talker", "/throw")).status).toBe(500);
    expect(await next(socket)).toMatchObject({
      outcome: "exception",
      exceptions: [{ name: "TypeError", message: "it broke" }],
    });

    await call(namespace, "talker", "/background");
    const background = await next(socket);
    expect(background.logs.map(({ message }) => message)).toContainEqual(["afterwards"]);
    expect(background.wallTime).toBeGreaterThanOrEqual(300);
    expect(JSON.stringify(background)).not.toContain(CANARY);

    socket.sendUnmasked("close", Buffer.from([0x03, 0xe8]));
    await expect.poll(() => result<Tail[]>("GET", `${namespace}/scripts/talker/tails`)).toEqual([]);
    expect((await call(namespace, "talker", "/after")).status).toBe(200);
  }, 30_000);

  test("that takes too long is told of as such", async () => {
    await result("PUT", `${namespace}/scripts/talker/limits`, { wall_ms: 300 });
    const outcomes = { outcome: ["exceededWallTime", "canceled"] };
    const socket = await openTail(`${namespace}/scripts/talker`, outcomes);
    await call(namespace, "talker", "/slow");
    const { outcome, wallTime } = await next(socket);
    expect(outcome).toBe("exceededWallTime");
    expect(wallTime).toBeGreaterThanOrEqual(300);
    socket.destroy();
  }, 30_000);
});

describe("a function that is killed", () => {
  test("has an event of its own", async () => {
    await deploy("apart", "spinner", TALKER);
    const socket = await openTail("apart/scripts/spinner", { outcome: ["exceededCpu"] });
    expect(
      (await call("apart", "spinner", "/spin?secret=0123456789abcdef0123456789abcdef")).status,
    ).toBe(503);
    const event = await next(socket);
    expect(event).toMatchObject({ outcome: "exceededCpu", truncated: true });
    expect(event.event.request?.url).toMatch(/\/spin\?secret=REDACTED$/);
    socket.destroy();
  }, 30_000);
});

describe("filters", () => {
  test("choose what comes", async () => {
    await deploy("edges", "filtered", TALKER);
    const { version_id: version } = await result<{ version_id: string }>(
      "GET",
      "edges/scripts/filtered/placement",
    );
    const tail = (...filters: object[]) => openTail("edges/scripts/filtered", ...filters);
    const sockets = {
      all: await tail(),
      none: await tail({ sampling_rate: 0 }),
      posts: await tail({ method: ["POST", "PUT"] }),
      errors: await tail({ outcome: ["exception", "exceededCpu"] }),
      header: await tail({ header: { key: "X-Wanted", query: "yes" } }),
      self: await tail({ client_ip: ["self"] }, { query: "/self" }),
      stranger: await tail({ client_ip: ["192.0.2.1"] }),
      version: await tail({ scriptVersion: version }, { query: "/version" }),
      other: await tail({ scriptVersion: "11111111-1111-4111-8111-111111111111" }),
    };
    const host = "filtered.edges.localhost";
    for (const [path, request] of [
      ["/self", {}],
      ["/version", {}],
      ["/throw", {}],
      ["/posted", { method: "POST", body: "x" }],
      ["/header", { headers: { "x-wanted": "oh yes" } }],
      ["/last", { method: "PUT", headers: { "x-wanted": "yes" } }],
    ] as const) {
      await (await platform.fetchHost(host, path, request)).text();
    }
    const pathOf = async (socket: RawWebSocket) => {
      const { request } = (await next(socket)).event;
      return new URL(request?.url ?? "").pathname;
    };
    const all = [];
    for (let n = 0; n < 6; n++) all.push(await pathOf(sockets.all));
    expect(all.toSorted()).toEqual(
      ["/header", "/last", "/posted", "/self", "/throw", "/version"].toSorted(),
    );
    expect(await pathOf(sockets.posts)).toBe("/posted");
    expect(await pathOf(sockets.posts)).toBe("/last");
    expect(await pathOf(sockets.errors)).toBe("/throw");
    expect(await pathOf(sockets.header)).toBe("/header");
    expect(await pathOf(sockets.header)).toBe("/last");
    expect(await pathOf(sockets.self)).toBe("/self");
    expect(await pathOf(sockets.version)).toBe("/version");
    for (const name of ["none", "stranger", "other"] as const) {
      sockets[name].sendUnmasked("ping", "nothing before this");
      expect(await sockets[name].pong()).toBe("nothing before this");
    }
    const refused = await platform.api("POST", `${NAMESPACES}/edges/scripts/filtered/tails`, {
      filters: [{ colour: ["red"] }],
    });
    expect(refused.status).toBe(400);
    for (const socket of Object.values(sockets)) socket.destroy();
  }, 30_000);
});

describe("the URL of a tail", () => {
  test("is of no use to whoever guesses, or comes late", async () => {
    await deploy("edges", "guessed", TALKER);
    const tail = await result<Tail>("POST", "edges/scripts/guessed/tails");
    expect(new URL(tail.url).pathname).toMatch(/^\/tails\/[0-9a-f]{64}$/);
    const last = tail.url.endsWith("0") ? "1" : "0";
    await expect(RawWebSocket.open(tail.url.slice(0, -1) + last)).rejects.toThrow("404");
    await expect(RawWebSocket.open(tail.url, "chat")).rejects.toThrow("400");
    const socket = await RawWebSocket.open(tail.url);
    await result("DELETE", `edges/scripts/guessed/tails/${tail.id}`);
    expect(await socket.next()).toBeUndefined();
    await expect(RawWebSocket.open(tail.url)).rejects.toThrow("404");
  });
});

describe("a namespace", () => {
  test("is tailed as a whole, also what is deployed later", async () => {
    const socket = await openTail("edges");
    await deploy("edges", "later", TALKER);
    await call("edges", "later", "/x");
    expect(await next(socket)).toMatchObject({ scriptName: "later", outcome: "ok" });
    socket.destroy();
  });
});

describe("a reader that reads nothing", () => {
  test("slows neither requests nor other readers", async () => {
    await deploy(
      "edges",
      "flood",
      `export default { fetch() { console.log("x".repeat(100_000)); return new Response("ok"); } };`,
    );
    const slow = await openTail("edges/scripts/flood");
    const quick = await openTail("edges/scripts/flood");
    slow.pause();
    const COUNT = 300;
    for (let n = 0; n < COUNT; n += 10) {
      await Promise.all(Array.from({ length: 10 }, () => call("edges", "flood", "/")));
      for (let m = 0; m < 10; m++) expect((await next(quick)).outcome).toBe("ok");
    }
    slow.resume();
    const types = new Set<string>();
    let read = 0;
    for (;;) {
      const event = await next(slow);
      if (event.event.type === undefined) read++;
      else types.add(event.event.type);
      if (event.event.type === "overload") break;
    }
    expect(read).toBeLessThan(COUNT);
    // It reads again, so that events come again.
    await expect
      .poll(async () => {
        await call("edges", "flood", "/");
        const { type } = (await next(slow)).event;
        if (type !== undefined) types.add(type);
        return [...types];
      })
      .toContain("overload-stop");
    slow.destroy();
    quick.destroy();
  }, 60_000);
});

describe("kept logs", () => {
  const logs = async (query: string) =>
    result<{ events: (Event & { id: number })[]; cursor: string | null }>(
      "GET",
      `edges/scripts/kept/logs?${query}`,
    );

  test("are found by word, outcome, time and version, and go with the script", async () => {
    await deploy("edges", "kept", TALKER, { observability: { enabled: true } });
    for (const path of ["/one", "/two", "/throw", "/four"]) await call("edges", "kept", path);
    await expect.poll(async () => (await logs("")).events.length).toBe(4);
    const [newest] = (await logs("limit=1")).events;
    expect(newest?.event.request?.url).toContain("/four");
    expect((await logs("grep=%22path%22%3A%22%2Ftw")).events).toHaveLength(1);
    expect((await logs("grep=IT+BROKE")).events).toHaveLength(1);
    expect((await logs("grep=tw")).events).toHaveLength(1);
    expect((await logs("grep=no+such")).events).toEqual([]);
    expect((await logs(`grep=${CANARY}`)).events).toEqual([]);
    expect((await logs("outcome=exception,canceled")).events).toHaveLength(1);
    expect((await logs(`version=${newest?.scriptVersion.id}`)).events).toHaveLength(4);
    expect((await logs("version=nope")).events).toEqual([]);
    expect((await logs("since=2h&until=1h")).events).toEqual([]);
    const first = await logs("limit=3");
    const second = await logs(`limit=3&cursor=${first.cursor}`);
    expect([first.events.length, second.events.length, second.cursor]).toEqual([3, 1, null]);
    const refused = await platform.api("GET", `${NAMESPACES}/edges/scripts/kept/logs?outcome=fine`);
    expect(refused.status).toBe(400);

    await result("DELETE", "edges/scripts/kept");
    await deploy("edges", "kept", TALKER, { observability: { enabled: true } });
    await expect.poll(async () => (await logs("")).events.length).toBe(0);
  }, 30_000);

  test("are kept from the moment that settings ask for it", async () => {
    await deploy("production", "asked", TALKER);
    await call("production", "asked", "/before");
    await result("PATCH", "production/scripts/asked/settings", {
      observability: { enabled: true, head_sampling_rate: 1 },
    });
    await call("production", "asked", "/after");
    await expect
      .poll(async () => {
        const path = "production/scripts/asked/logs";
        const { events } = await result<{ events: Event[] }>("GET", path);
        return events.map(({ event }) => new URL(event.request?.url ?? "").pathname);
      })
      .toEqual(["/after"]);
  }, 30_000);
});

describe("Tail Workers", () => {
  test.each(["edges", "production"])(
    "get the events of others in %s, not their own",
    async (namespace) => {
      const missing = deploy(namespace, "producer", TALKER, {
        tail_consumers: [{ service: "nobody" }],
      });
      await expect(missing).rejects.toThrow("tail_consumers: there is no Worker named 'nobody'");
      await deploy(namespace, "collector", COLLECTOR, { observability: { enabled: true } });
      await deploy(namespace, "collector", COLLECTOR, {
        observability: { enabled: true },
        tail_consumers: [{ service: "collector" }],
      });
      await deploy(namespace, "producer", TALKER, { tail_consumers: [{ service: "collector" }] });
      expect(await result("GET", `${namespace}/scripts/producer/settings`)).toMatchObject({
        tail_consumers: [{ service: "collector" }],
      });
      await call(namespace, "producer", "/throw");
      const told = async () => {
        const host = `collector.${namespace}.localhost`;
        return (await (await platform.fetchHost(host, "/")).json()) as Event[];
      };
      await expect
        .poll(told, { timeout: 10_000 })
        .toMatchObject([
          { scriptName: "producer", outcome: "exception", exceptions: [{ message: "it broke" }] },
        ]);
      const path = `${namespace}/scripts/collector/logs?grep=told+of`;
      await expect
        .poll(async () => (await result<{ events: Event[] }>("GET", path)).events)
        .toMatchObject([{ event: { consumedEvents: [] }, logs: [{ message: ["told of", 1] }] }]);
    },
    30_000,
  );

  test("are those of the namespace, too", async () => {
    await platform.api("POST", NAMESPACES, { name: "watched" });
    await deploy("edges", "overseer", COLLECTOR);
    const { stdout } = await cli("namespace", "tail", "watched", "edges/overseer");
    expect(stdout).toContain("edges/overseer");
    await deploy("watched", "anyone", TALKER);
    await call("watched", "anyone", "/hello");
    await expect
      .poll(async () => {
        const response = await platform.fetchHost("overseer.edges.localhost", "/");
        return (await response.json()) as Event[];
      })
      .toMatchObject([{ scriptName: "anyone", dispatchNamespace: "watched" }]);
  }, 30_000);
});

describe("wrangler tail", () => {
  test("of an account Worker, pretty and filtered", async () => {
    const directory = await createProject({
      "wrangler.toml": [
        'name = "front"',
        'main = "src/index.ts"',
        'compatibility_date = "2026-11-01"',
        "upload_source_maps = true",
        "[observability]",
        "enabled = true",
        "[[tail_consumers]]",
        'service = "audit"',
      ].join("\n"),
      "src/index.ts": `
        interface Unused { readonly a: string }
        export default { fetch(request: Request) {
          console.log("from wrangler", new URL(request.url).pathname);
          if (request.url.endsWith("/throw")) throw new Error("thrown in TypeScript");
          return new Response("ok");
        } };`,
      "audit/wrangler.toml": 'name = "audit"\nmain = "index.js"\ncompatibility_date = "2026-11-01"',
      "audit/index.js": COLLECTOR,
    });
    const env = platform.wranglerEnv;
    const audit = await wrangler(join(directory, "audit"), env, "deploy");
    expect(audit.exitCode, audit.output).toBe(0);
    const deployed = await wrangler(directory, env, "deploy");
    expect(deployed.exitCode, deployed.output).toBe(0);

    const lines: string[] = [];
    const onLine = (line: string) => lines.push(line);
    const arguments_ = ["tail", "front", "--format", "pretty", "--status", "error"];
    const tail = startWrangler(directory, env, onLine, ...arguments_);
    await expect.poll(() => lines.join("\n"), { timeout: 20_000 }).toContain("Connected to front");
    for (const path of ["/fine", "/throw"]) {
      await (await platform.fetchHost("front.workers.localhost", path)).text();
    }
    await expect
      .poll(() => lines.join("\n"), { timeout: 10_000 })
      .toContain("thrown in TypeScript");
    const gone = once(tail, "exit");
    tail.kill("SIGINT");
    await gone;
    const output = lines.join("\n");
    expect(output).toContain("from wrangler /throw");
    expect(output).toMatch(/GET http:\/\/front\.workers\.localhost.*\/throw - Exception Thrown/);
    expect(output).not.toContain("/fine");

    const path = "/workers/scripts/front";
    const { result: tails } = (await (await platform.api("GET", `${path}/tails`)).json()) as {
      result: Tail[];
    };
    expect(tails).toEqual([]);
    const { result: kept } = (await (await platform.api("GET", `${path}/logs`)).json()) as {
      result: { events: Event[] };
    };
    expect(kept.events).toHaveLength(2);
    expect(kept.events[0]).not.toHaveProperty("dispatchNamespace");
    expect(kept.events[0]?.exceptions[0]?.stack).toMatch(/src\/index\.ts:5:\d+/);
    const response = await platform.fetchHost("audit.workers.localhost", "/");
    expect(await response.json()).toMatchObject([
      { scriptName: "front", outcome: "ok" },
      { scriptName: "front", outcome: "exception" },
    ]);
  }, 90_000);
});

describe("the command line", () => {
  test("searches logs, and follows a namespace", async () => {
    await deploy("edges", "cli", TALKER, { observability: { enabled: true } });
    await call("edges", "cli", "/throw");
    await expect
      .poll(async () => (await cli("logs", "edges/cli", "--grep", "it broke")).stdout)
      .toMatch(
        / cli \w{8} GET \/throw - exception \d+ ms\n {2}log: hello .*\n {2}TypeError: it broke/,
      );
    expect((await cli("logs", "edges/cli", "--outcome", "ok")).stdout).toBe("");
    await expect(cli("logs", "edges")).rejects.toThrow("no Worker named 'edges' outside");

    const child = spawn(process.execPath, [CLI, "tail", "edges", "--data", platform.data], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    await once(child.stderr, "data");
    let output = "";
    child.stdout.on("data", (text) => (output += String(text)));
    await expect
      .poll(async () => {
        await call("edges", "cli", "/warn");
        return output;
      })
      .toMatch(/ cli \w{8} GET \/warn 200 ok \d+ ms\n {2}log: hello .*\n {2}warn: careful\n/);
    const gone = once(child, "exit");
    child.kill("SIGINT");
    expect((await gone)[0]).toBe(0);
    expect(await result("GET", "edges/tails")).toEqual([]);
  }, 60_000);
});

describe("source maps", () => {
  test("lead from a stack to the source", async () => {
    const form = new FormData();
    form.set(
      "metadata",
      JSON.stringify({ main_module: "index.js", compatibility_date: "2026-11-01" }),
    );
    const built = await buildWithMap();
    const type = "application/javascript+module";
    form.set("index.js", new File([built.code], "index.js", { type }));
    form.set(
      "index.js.map",
      new File([built.map], "index.js.map", { type: "application/source-map" }),
    );
    await platform.deploy("mapped", form, "edges");
    const socket = await openTail("edges/scripts/mapped");
    await call("edges", "mapped", "/");
    const [exception] = (await next(socket)).exceptions;
    expect(exception?.stack).toMatch(/src\/thrower\.ts:4:\d+/);
    expect(exception?.stack).toMatch(/src\/index\.ts:2:\d+/);
    expect(exception?.stack).not.toContain("skep-");
    socket.destroy();
  });
});

async function buildWithMap(): Promise<{ code: string; map: string }> {
  const { build } = await import("esbuild");
  const sources: Record<string, string> = {
    "src/index.ts": `import { thrower } from "./thrower.ts";\nexport default { fetch() { thrower(1); } };`,
    "src/thrower.ts": `interface Unused {\n  readonly a: string;\n}\nexport function thrower(n: number): never { throw new Error("mapped " + n); }`,
  };
  const { outputFiles } = await build({
    entryPoints: ["src/index.ts"],
    bundle: true,
    minify: true,
    format: "esm",
    sourcemap: "linked",
    outfile: "index.js",
    write: false,
    absWorkingDir: "/",
    plugins: [
      {
        name: "memory",
        setup(plugin) {
          plugin.onResolve({ filter: /.*/ }, ({ path }) => ({
            path: `/src/${path.replace(/^(\.\/|src\/)/, "")}`,
          }));
          plugin.onLoad({ filter: /.*/ }, ({ path }) => ({
            contents: sources[path.slice(1)] ?? "",
            loader: "ts",
          }));
        },
      },
    ],
  });
  const text = (name: string) => outputFiles.find(({ path }) => path.endsWith(name))?.text ?? "";
  return { code: text("index.js"), map: text("index.js.map") };
}
