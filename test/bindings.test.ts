/** Bindings that are objects with methods, on the real platform: of functions in cells, in edges, and across both. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { startPlatform, type Platform } from "./platform.ts";
import { createProject, wrangler } from "./wrangler.ts";

const ROOT = join(import.meta.dirname, "..");
const NAMESPACES = "/workers/dispatch/namespaces";

/** `secret`: from its props; what it was asked, and how. */
const CALLEE = `
  import { WorkerEntrypoint } from "cloudflare:workers";
  const own = (request) => [...request.headers.keys()].filter((name) => name.startsWith("x-skep-"));
  class HoneyError extends Error { name = "HoneyError"; }
  export default class extends WorkerEntrypoint {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/throws") throw new TypeError("no honey left");
      if (pathname === "/status") return new Response("tea", { status: 418, headers: { "x-kind": "pot" } });
      if (pathname === "/echo") return new Response(request.body, { headers: { "x-method": request.method } });
      if (request.headers.has("upgrade")) {
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.addEventListener("message", ({ data }) => server.send("got " + data));
        return new Response(null, { status: 101, webSocket: client });
      }
      return Response.json({ url: request.url, props: this.ctx.props, own: own(request), cf: request.cf ?? null });
    }
    #hidden() {}
    instance = () => "an instance's own";
    add(a, b) { return a + b; }
    echo(value) { return value; }
    same(a, b) { return [a === b, a.self === a]; }
    throwsRange() { throw new RangeError("out of honey"); }
    throwsOwn() { throw new HoneyError("of its own"); }
    returnsFunction() { return { call: () => 1 }; }
    returnsResponse() { return new Response("no"); }
    nothing() {}
  }
  export class Admin extends WorkerEntrypoint {
    whoami() { return { is: "admin", props: this.ctx.props }; }
    fetch() { return new Response("admin"); }
  }`;

const CALLER = `
  const tell = async (call) => {
    try { return await call(); }
    catch (error) { return { name: error.name, message: error.message, own: error instanceof RangeError || error instanceof TypeError }; }
  };
  const describe = (value) => value instanceof Date ? "Date " + value.getTime()
    : value instanceof Map ? "Map " + JSON.stringify([...value]) : value instanceof Set ? "Set " + [...value]
    : value instanceof RegExp ? String(value) : ArrayBuffer.isView(value) ? value.constructor.name + " " + value
    : value instanceof ArrayBuffer ? "ArrayBuffer " + new Uint8Array(value)
    : typeof value === "bigint" ? value + "n" : value === undefined ? "undefined"
    : value instanceof Error ? value.name + ": " + value.message : value;
  const handlers = {
    "/fetch": async (env) => (await env.CALLEE.fetch("https://any.example/path?a=1", { headers: { "x-skep-egress": "forged", "x-skep-via": "[]" }, cf: { country: "XX" } })).json(),
    "/props": async (env) => (await env.WITH_PROPS.fetch("http://a/")).json(),
    "/status": async (env) => {
      const response = await env.CALLEE.fetch("http://a/status");
      return [response.status, response.headers.get("x-kind"), await response.text()];
    },
    "/echo": async (env) => {
      const { readable, writable } = new TransformStream();
      const writer = writable.getWriter();
      const asked = env.CALLEE.fetch("http://a/echo", { method: "PUT", body: readable });
      await writer.write(new TextEncoder().encode("first,"));
      const response = await asked;
      const reader = response.body.getReader();
      const first = new TextDecoder().decode((await reader.read()).value);
      await writer.write(new TextEncoder().encode("last"));
      await writer.close();
      const last = new TextDecoder().decode((await reader.read()).value);
      return [response.headers.get("x-method"), first, last];
    },
    "/socket": async (env) => {
      const { webSocket: socket } = await env.CALLEE.fetch("http://a/", { headers: { upgrade: "websocket" } });
      socket.accept();
      const { promise, resolve } = Promise.withResolvers();
      socket.addEventListener("message", ({ data }) => resolve(data));
      socket.send("honey");
      const answer = await promise;
      socket.close();
      return answer;
    },
    "/throws": async (env) => tell(() => env.CALLEE.fetch("http://a/throws")),
    "/add": async (env) => env.CALLEE.add(20, 22),
    "/echoed": async (env) => {
      const values = [new Date(5), new Map([[1, { a: 2 }]]), new Set([1, 2]), /x\\/y/gi, new Uint8Array([1, 2]), new ArrayBuffer(1), 10n ** 20n, undefined, new RangeError("r"), "text", 1.5, null];
      return (await env.CALLEE.echo(values)).map(describe);
    },
    "/cycle": async (env) => { const a = {}; a.self = a; return env.CALLEE.same(a, a); },
    "/errors": async (env) => Promise.all(["throwsRange", "throwsOwn", "returnsFunction", "returnsResponse", "missing", "instance"].map((name) => tell(() => env.CALLEE[name]()))),
    "/arguments": async (env) => Promise.all([() => 1, new ReadableStream(), new Request("http://a/"), new Response("x")].map((value) => tell(() => env.CALLEE.echo({ value })))),
    "/nothing": async (env) => String(await env.CALLEE.nothing()),
    "/admin": async (env) => [await env.ADMIN.whoami(), await (await env.ADMIN.fetch("http://a/")).text()],
    "/no-entrypoint": async (env) => [await tell(() => env.NOWHERE.whoami()), await tell(() => env.NOWHERE.fetch("http://a/"))],
    "/itself": async (env, request) => (await env.ITSELF.fetch(new URL("/add", request.url))).json(),
    "/many": async (env) => {
      const results = [];
      for (let n = 0; n < 60; n++) results.push(await tell(() => env.CALLEE.add(n, 0)));
      return [results.filter((result) => typeof result === "number").length, results.at(-1).message];
    },
    "/limit": async (env, request) => {
      const key = new URL(request.url).searchParams.get("key");
      return [await env.LIMIT.limit({ key }), await tell(() => env.LIMIT.limit({}))];
    },
    "/write": async (env) => {
      for (const n of [1, 2, 3]) env.DATA.writeDataPoint({ blobs: ["paid", n === 3 ? null : "eu"], doubles: [n, 0.5], indexes: ["customer-" + (n % 2)] });
      env.DATA.writeDataPoint();
      return [env.DATA.writeDataPoint({ doubles: [9], blobs: ["free"] }) ?? "undefined",
        await tell(() => env.DATA.writeDataPoint({ blobs: [7] })), await tell(() => env.DATA.writeDataPoint({ doubles: Array(21).fill(1) })), await tell(() => env.DATA.writeDataPoint({ indexes: ["x".repeat(97)] }))];
    },
    "/ring": async (env) => tell(() => env.RING.next(1)),
  };
  export default { async fetch(request, env) {
    const { pathname } = new URL(request.url);
    return Response.json(await handlers[pathname](env, request) ?? null);
  } };`;

const RING = `
  import { WorkerEntrypoint } from "cloudflare:workers";
  export default class extends WorkerEntrypoint {
    fetch() { return new Response("ring"); }
    async next(n) { return this.env.RING.next(n + 1); }
  }`;

const BINDINGS = [
  { type: "service", name: "CALLEE", service: "callee" },
  {
    type: "service",
    name: "WITH_PROPS",
    service: "callee",
    props: { tenant: "bees", limits: [1] },
  },
  { type: "service", name: "ADMIN", service: "callee", entrypoint: "Admin", props: { who: "me" } },
  { type: "service", name: "NOWHERE", service: "callee", entrypoint: "Nowhere" },
  { type: "service", name: "ITSELF", service: "caller", environment: "production" },
  { type: "service", name: "RING", service: "ring" },
  { type: "ratelimit", name: "LIMIT", namespace_id: "1001", simple: { limit: 3, period: 60 } },
  { type: "analytics_engine", name: "DATA", dataset: "sales" },
];

let platform: Platform;

function form(source: string, bindings: readonly object[] = [], metadata: object = {}): FormData {
  const form = new FormData();
  const all = { main_module: "index.js", compatibility_date: "2026-11-01", bindings, ...metadata };
  form.set("metadata", JSON.stringify(all));
  form.set("index.js", new File([source], "index.js", { type: "application/javascript+module" }));
  return form;
}

/** Outside of dispatch namespaces. */
async function deployToAccount(name: string, body: FormData): Promise<void> {
  const response = await platform.api("PUT", `/workers/scripts/${name}`, body);
  expect(response.status, await response.clone().text()).toBe(200);
}

async function refused(path: string, binding: object): Promise<{ code: number; message: string }> {
  const hello = `export default { fetch: () => new Response("hello") }`;
  const response = await platform.api("PUT", path, form(hello, [binding]));
  const { errors } = (await response.json()) as { errors: { code: number; message: string }[] };
  expect(response.ok).toBe(false);
  return errors[0]!;
}

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "2"] });
  await platform.api("POST", NAMESPACES, { name: "proven" });
  await platform.api("PUT", `${NAMESPACES}/proven`, { isolation: "trusted" });
  for (const namespace of ["production", "proven"]) {
    await platform.deploy("callee", form(CALLEE), namespace);
    await platform.deploy(
      "ring",
      form(RING, [{ type: "service", name: "RING", service: "ring" }]),
      namespace,
    );
    await platform.deploy("caller", form(CALLER, BINDINGS), namespace);
  }
  await deployToAccount("callee", form(CALLEE));
  await deployToAccount("ring", form(RING, [{ type: "service", name: "RING", service: "ring" }]));
  await deployToAccount("caller", form(CALLER, BINDINGS));
}, 120_000);

afterAll(() => platform.stop());

describe("uploads", () => {
  const inNamespace = `${NAMESPACES}/production/scripts/refused`;
  test.each([
    [
      { type: "service", service: "nobody" },
      10143,
      /'nobody', which does not exist in the dispatch namespace 'production'.*Deploy/,
    ],
    [
      { type: "service", service: "callee", environment: "staging" },
      10021,
      /environment: may only be production/,
    ],
    [
      { type: "service", service: "callee", entrypoint: "SkepControl" },
      10021,
      /entrypoint: is the platform's own/,
    ],
    [
      { type: "dispatch_namespace", namespace: "production" },
      10021,
      /is not for user Workers.*Worker of the account/,
    ],
    [
      { type: "ratelimit", namespace_id: "1", simple: { limit: 1, period: 30 } },
      10021,
      /period: is neither 10 nor 60/,
    ],
    [
      { type: "worker_loader" },
      10021,
      /worker_loader is not supported: code that a function loads/,
    ],
    [
      { type: "vectorize", index_name: "x" },
      10021,
      /vectorize is not supported: this platform has no vector database/,
    ],
    [{ type: "hologram" }, 10021, /Supported types: .*service.*ratelimit/],
  ])("%o is refused", async (binding, code, message) => {
    expect(await refused(inNamespace, { name: "X", ...binding })).toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  test("of an account's Worker are refused if their target is not there", async () => {
    const path = "/workers/scripts/refused";
    const outbound = { worker: { service: "nobody" } };
    expect(
      (await refused(path, { type: "service", name: "X", service: "nobody" })).message,
    ).toMatch(/does not exist in this account/);
    expect(
      (await refused(path, { type: "dispatch_namespace", name: "X", namespace: "nowhere" }))
        .message,
    ).toMatch(/no dispatch namespace named 'nowhere'/);
    expect(
      (
        await refused(path, {
          type: "dispatch_namespace",
          name: "X",
          namespace: "production",
          outbound,
        })
      ).message,
    ).toMatch(/'nobody', which does not exist/);
  });

  test("bindings are listed as they were uploaded", async () => {
    const response = await platform.api("GET", `${NAMESPACES}/production/scripts/caller/bindings`);
    const { result } = (await response.json()) as { result: object[] };
    const production = { environment: "production" };
    expect(result).toEqual(
      BINDINGS.map((binding) =>
        binding.type === "service" ? { ...binding, ...production } : binding,
      ),
    );
  });
});

/** `/<script>/…`: calls it, with the header `x-customer` as an outbound parameter. */
const DISPATCHER = `
  export default { async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const [, script, ...rest] = pathname.split("/");
    const customer = request.headers.get("x-customer");
    try {
      const worker = env.DISPATCH.get(script, { plan: "bee" }, { limits: { cpuMs: 20 }, outbound: customer ? { customer } : JSON.parse(request.headers.get("x-outbound")) ?? undefined });
      return await worker.fetch("http://function/" + rest.join("/"), request);
    } catch (error) {
      return Response.json({ message: error.message, name: error.name, remote: error.remote ?? null }, { status: 599 });
    }
  } };`;

const GATEKEEPER = `export default { fetch: (request, env) => Response.json({ gate: request.url, customer: env.customer ?? null }) };`;

const SHOP = `
  export default { async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === "/out") return fetch("https://api.example.invalid/things");
    if (pathname === "/throws") throw new RangeError("sold out");
    return Response.json({ pathname, props: ctx.props, env: Object.keys(env) });
  } };`;

test("a method that never ends is ended as a fetch is, by default export and by name", async () => {
  const spinner = `
    import { WorkerEntrypoint } from "cloudflare:workers";
    class Spinner extends WorkerEntrypoint { ok() { return "ok"; } spin() { for (;;); } wait() { return scheduler.wait(1e6); } }
    export default Spinner;
    export class Named extends Spinner {}`;
  const caller = `
    export default { async fetch(request, env) {
      const [, entry, method] = new URL(request.url).pathname.split("/");
      try { return new Response(await env[entry][method]()); }
      catch (error) { return new Response(error.message); }
    } };`;
  const limits = { limits: { cpu_ms: 20 } };
  const path = `${NAMESPACES}/production/scripts/spinner/limits`;
  await platform.deploy("spinner", form(spinner, [], limits));
  expect((await platform.api("PUT", path, { wall_ms: 300 })).status).toBe(200);
  const bindings = [
    { type: "service", name: "DEFAULT", service: "spinner" },
    { type: "service", name: "NAMED", service: "spinner", entrypoint: "Named" },
  ];
  await platform.deploy("spins", form(caller, bindings), "production");
  const ask = async (path: string) => (await platform.fetch("spins", path)).text();
  for (const entry of ["DEFAULT", "NAMED"]) {
    await expect.poll(() => ask(`/${entry}/ok`), { timeout: 10_000 }).toBe("ok");
    expect(await ask(`/${entry}/wait`)).toMatch(/^Worker exceeded wall time limit/);
  }
  const detail = async () => {
    const events = await platform.api("GET", `${NAMESPACES}/production/events?script=spinner`);
    return events.text();
  };
  await ask("/NAMED/spin");
  await expect.poll(detail, { timeout: 10_000 }).toMatch(/cpu|stalled/);
});

test("in service-worker syntax bindings are globals, whatever the compatibility date", async () => {
  const source = `addEventListener("fetch", (event) => event.respondWith(answer()));
    async function answer() {
      DATA.writeDataPoint({ doubles: [1] });
      return Response.json([await (await CALLEE.fetch("http://a/status")).text(), await LIMIT.limit({ key: "k" }), typeof CALLEE]);
    }`;
  const body = new FormData();
  const bindings = [
    ...BINDINGS.filter(({ name }) => ["CALLEE", "LIMIT"].includes(name)),
    { type: "analytics_engine", name: "DATA", dataset: "classic" },
  ];
  body.set(
    "metadata",
    JSON.stringify({ body_part: "script", compatibility_date: "2022-01-01", bindings }),
  );
  body.set("script", new File([source], "script", { type: "application/javascript" }));
  for (const namespace of ["production", "proven"]) {
    await platform.deploy("classic", body, namespace);
    const response = await platform.fetchHost(`classic.${namespace}.localhost`, "/");
    expect(await response.json()).toEqual(["tea", { success: true }, "object"]);
  }
});

test("wrangler deploys them from its configuration", async () => {
  const directory = await createProject({
    "wrangler.toml": `
      name = "from-wrangler"
      main = "index.js"
      compatibility_date = "2026-11-01"
      services = [
        { binding = "CALLEE", service = "callee" },
        { binding = "ADMIN", service = "callee", entrypoint = "Admin", props = { who = "wrangler" } },
      ]
      analytics_engine_datasets = [{ binding = "DATA", dataset = "clicks" }]
      [[ratelimits]]
      name = "LIMIT"
      namespace_id = "1001"
      simple = { limit = 1, period = 60 }
      [version_metadata]
      binding = "VERSION"`,
    "index.js": `
      export default { async fetch(request, env) {
        env.DATA.writeDataPoint({ blobs: ["click"] });
        const limits = [await env.LIMIT.limit({ key: "k" }), await env.LIMIT.limit({ key: "k" })];
        return Response.json([await env.CALLEE.add(1, 2), await env.ADMIN.whoami(), limits.map(({ success }) => success), env.VERSION.id.length]);
      } };`,
  });
  const run = await wrangler(
    directory,
    platform.wranglerEnv,
    "deploy",
    "--dispatch-namespace",
    "production",
  );
  expect(run.exitCode, run.output).toBe(0);
  const response = await platform.fetch("from-wrangler", "/");
  const admin = { is: "admin", props: { who: "wrangler" } };
  expect(await response.json()).toEqual([3, admin, [true, false], 36]);
  await rm(directory, { recursive: true });
});

test("wrangler deploys an account's Workers that are bound to each other and to a namespace", async () => {
  const options = { compatibility_date: "2026-11-01", main: "index.js" };
  const configure = (name: string, config: object) =>
    JSON.stringify({ name, ...options, workers_dev: true, ...config });
  const deployed = async (config: string, source: string) => {
    const directory = await createProject({ "wrangler.json": config, "index.js": source });
    const run = await wrangler(directory, platform.wranglerEnv, "deploy");
    expect(run.exitCode, run.output).toBe(0);
    await rm(directory, { recursive: true });
  };
  await deployed(configure("wrangled-callee", {}), CALLEE);
  await deployed(configure("wrangled-gate", {}), GATEKEEPER);
  await platform.deploy("shop", form(SHOP));
  const source = `
    export default { async fetch(request, env) {
      const worker = env.DISPATCH.get("shop", {}, { outbound: { customer: "ann" } });
      const out = await (await worker.fetch("http://function/out")).json();
      return Response.json([await env.CALLEE.add(1, 2), await env.ADMIN.whoami(), out]);
    } };`;
  const config = {
    services: [
      { binding: "CALLEE", service: "wrangled-callee" },
      { binding: "ADMIN", service: "wrangled-callee", entrypoint: "Admin", props: { who: "w" } },
    ],
    dispatch_namespaces: [
      {
        binding: "DISPATCH",
        namespace: "production",
        outbound: { service: "wrangled-gate", parameters: ["customer"] },
      },
    ],
    analytics_engine_datasets: [{ binding: "DATA", dataset: "clicks" }],
    ratelimits: [{ name: "LIMIT", namespace_id: "1", simple: { limit: 1, period: 10 } }],
  };
  await deployed(configure("wrangled", config), source);
  const response = await platform.fetchHost("wrangled.workers.localhost", "/");
  const out = { gate: "https://api.example.invalid/things", customer: "ann" };
  expect(await response.json()).toEqual([3, { is: "admin", props: { who: "w" } }, out]);
});

test("the dispatcher of this repository is deployed as it is, and counts in its own objects", async () => {
  await platform.deploy("shop", form(SHOP));
  const run = await wrangler(ROOT, platform.wranglerEnv, "deploy");
  expect(run.exitCode, run.output).toBe(0);
  expect(run.output).toMatch(/env\.METRICS \(FunctionMetrics\)/);
  const again = await wrangler(ROOT, platform.wranglerEnv, "deploy");
  expect(again.exitCode, again.output).toBe(0);
  const front = `
    export default { async fetch(request, env) {
      const { pathname } = new URL(request.url);
      const metrics = env.METRICS.getByName("production/shop");
      if (pathname === "/totals") return Response.json(await metrics.totals());
      return env.DISPATCHER.fetch("http://shop.production.functions.example.com" + pathname);
    } };`;
  const bindings = [
    { type: "service", name: "DISPATCHER", service: "skep-dispatcher" },
    {
      type: "durable_object_namespace",
      name: "METRICS",
      class_name: "FunctionMetrics",
      script_name: "skep-dispatcher",
    },
  ];
  await deployToAccount("front", form(front, bindings));
  const ask = async (path: string) =>
    (await platform.fetchHost("front.workers.localhost", path)).json();
  for (const path of ["/one", "/two", "/three"]) {
    expect(await ask(path)).toMatchObject({ pathname: path });
  }
  await expect
    .poll(() => ask("/totals"))
    .toMatchObject([{ kind: "fetch", totals: { outcomes: { ok: 3 } } }]);
});

test("an env that cannot be imported goes not together with bindings that are made in it", async () => {
  const bindings = [{ type: "analytics_engine", name: "DATA" }];
  const flags = { compatibility_flags: ["disallow_importable_env"] };
  const hello = `export default { fetch: () => new Response("hello") }`;
  await expect(platform.deploy("hidden", form(hello, bindings, flags))).rejects.toThrow(
    "leave the flag out",
  );
});

describe("a dispatcher of the operator's own", () => {
  beforeAll(async () => {
    await deployToAccount("gatekeeper", form(GATEKEEPER));
    for (const namespace of ["production", "proven"]) {
      await platform.deploy("shop", form(SHOP), namespace);
      const outbound = { worker: { service: "gatekeeper" }, params: [{ name: "customer" }] };
      const binding = { type: "dispatch_namespace", name: "DISPATCH", namespace, outbound };
      await deployToAccount(`dispatch-${namespace}`, form(DISPATCHER, [binding]));
    }
  });

  describe.each(["production", "proven"])("of %s", (namespace) => {
    const ask = async (path: string, headers: Record<string, string> = {}) =>
      (
        await platform.fetchHost(`dispatch-${namespace}.workers.localhost`, path, { headers })
      ).json();

    test("calls user Workers with its arguments", async () => {
      expect(await ask("/shop/things")).toEqual({
        pathname: "/things",
        props: { plan: "bee" },
        env: [],
      });
    });

    test("has an outbound Worker with parameters", async () => {
      const gate = "https://api.example.invalid/things";
      expect(await ask("/shop/out")).toEqual({ gate, customer: null });
      expect(await ask("/shop/out", { "x-customer": "ann" })).toEqual({ gate, customer: "ann" });
      expect(await ask("/shop/out", { "x-customer": "bob" })).toEqual({ gate, customer: "bob" });
    });

    test("tells its own errors from the platform's", async () => {
      expect(await ask("/nobody/")).toEqual({
        message: expect.stringMatching(/^Worker not found/),
        name: "Error",
        remote: null,
      });
      expect(await ask("/shop/throws")).toEqual({
        message: "sold out",
        name: "RangeError",
        remote: true,
      });
      expect(await ask("/shop/", { "x-outbound": `{"tier":1}` })).toMatchObject({
        message: expect.stringContaining(`declares only [customer]`),
        name: "TypeError",
      });
    });
  });
});

describe.each([
  { where: "in cells", namespace: "production" },
  { where: "in edges", namespace: "proven" },
  { where: "of an account", namespace: "workers" },
])("a service binding $where", ({ namespace }) => {
  const ask = async (path: string): Promise<unknown> => {
    const response = await platform.fetchHost(`caller.${namespace}.localhost`, path);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  };

  test("fetches, with the URL that the caller gave and nothing that it made up", async () => {
    const seen = { url: "https://any.example/path?a=1", props: {}, own: [], cf: null };
    expect(await ask("/fetch")).toEqual(seen);
    expect(await ask("/props")).toMatchObject({ props: { tenant: "bees", limits: [1] } });
    expect(await ask("/status")).toEqual([418, "pot", "tea"]);
  });

  test("streams in both directions, and carries WebSockets", async () => {
    expect(await ask("/echo")).toEqual(["PUT", "first,", "last"]);
    expect(await ask("/socket")).toBe("got honey");
  });

  test("rejects with what the callee threw", async () => {
    expect(await ask("/throws")).toEqual({
      name: "TypeError",
      message: "no honey left",
      own: true,
    });
  });

  test("calls methods with structured data", async () => {
    expect(await ask("/add")).toBe(42);
    expect(await ask("/nothing")).toBe("undefined");
    expect(await ask("/cycle")).toEqual([true, true]);
    expect(await ask("/echoed")).toEqual([
      "Date 5",
      `Map [[1,{"a":2}]]`,
      "Set 1,2",
      "/x\\/y/gi",
      "Uint8Array 1,2",
      "ArrayBuffer 0",
      "100000000000000000000n",
      "undefined",
      "RangeError: r",
      "text",
      1.5,
      null,
    ]);
  });

  test("errors of methods keep name and message, and what is no data is refused", async () => {
    expect(await ask("/errors")).toEqual([
      { name: "RangeError", message: "out of honey", own: true },
      { name: "HoneyError", message: "of its own", own: false },
      {
        name: "TypeError",
        message: expect.stringMatching(
          /^the result of returnsFunction\(\) is or contains a function, which cannot be sent/,
        ),
        own: true,
      },
      {
        name: "TypeError",
        message: expect.stringMatching(
          /^the result of returnsResponse\(\) is or contains a Response/,
        ),
        own: true,
      },
      {
        name: "TypeError",
        message: expect.stringContaining(`does not implement the method "missing"`),
        own: true,
      },
      {
        name: "TypeError",
        message: expect.stringContaining(`does not implement the method "instance"`),
        own: true,
      },
    ]);
    expect(await ask("/arguments")).toEqual(
      ["a function", "a ReadableStream", "a Request", "a Response"].map((what) => ({
        name: "TypeError",
        message: expect.stringContaining(
          `an argument of echo() is or contains ${what}, which cannot be sent`,
        ),
        own: true,
      })),
    );
  });

  test("leads to a named entrypoint, with its props", async () => {
    expect(await ask("/admin")).toEqual([{ is: "admin", props: { who: "me" } }, "admin"]);
    const missing = { message: expect.stringContaining("no such entrypoint: Nowhere") };
    expect(await ask("/no-entrypoint")).toMatchObject([missing, missing]);
  });

  test("may lead to the Worker itself", async () => {
    expect(await ask("/itself")).toBe(42);
  });

  test("counts as a subrequest", async () => {
    expect(await ask("/many")).toEqual([50, expect.stringMatching(/^Too many subrequests/)]);
  });

  test("a ring of methods is cut", async () => {
    expect(await ask("/ring")).toMatchObject({
      message: expect.stringMatching(/called each other 16 times in a row.*ring -> /),
    });
  });

  test("calls are in the callee's metrics", async () => {
    if (namespace === "workers") return;
    await ask("/add");
    await expect
      .poll(
        async () => {
          const response = await platform.api(
            "GET",
            `${NAMESPACES}/${namespace}/scripts/callee/metrics`,
          );
          const { result } = (await response.json()) as {
            result: { summary: { requests: number } };
          };
          return result.summary.requests;
        },
        { timeout: 10_000 },
      )
      .toBeGreaterThan(50);
  });

  test("data points are stored, and can be asked for", async () => {
    const refusals = [
      /a blob must be a string/,
      /21 doubles, more than 20/,
      /index takes more than 96 bytes/,
    ];
    const thrown = refusals.map((message) => ({
      name: "TypeError",
      message: expect.stringMatching(message),
      own: true,
    }));
    expect(await ask("/write")).toEqual(["undefined", ...thrown]);
    const base = namespace === "workers" ? "/workers" : `${NAMESPACES}/${namespace}`;
    const query = async (search: string) => {
      const response = await platform.api("GET", `${base}/analytics/sales?${search}`);
      return ((await response.json()) as { result: unknown; errors: unknown }).result;
    };
    await expect.poll(() => query("select=count"), { timeout: 10_000 }).toEqual([{ count: 5 }]);
    expect(await query("select=sum(double1),count&group=blob1&where=index1:customer-1")).toEqual([
      { blob1: "paid", "sum(double1)": 4, count: 2 },
    ]);
    expect(await query("select=max(double1)&group=day")).toMatchObject([{ "max(double1)": 9 }]);
    expect(await query("where=blob1:free")).toEqual([
      { timestamp: expect.any(Number), index1: null, blobs: ["free"], doubles: [9] },
    ]);
    expect(await query("select=count&to=1")).toEqual([{ count: 0 }]);
    const bad = await platform.api("GET", `${base}/analytics/sales?select=count&group=blob1)--`);
    expect([bad.status, await bad.text()]).toEqual([
      400,
      expect.stringContaining("'blob1)--' is not"),
    ]);
    const list = await platform.api("GET", `${base}/analytics`);
    expect(((await list.json()) as { result: unknown }).result).toContainEqual(
      expect.objectContaining({ dataset: "sales", points: 5 }),
    );
  });

  test("a rate limit counts per key, for all edges and cells together", async () => {
    const answers = [];
    for (let n = 0; n < 5; n++) answers.push(await ask("/limit?key=a"));
    const success = answers.map((answer) => (answer as [{ success: boolean }])[0].success);
    expect(success).toEqual([true, true, true, false, false]);
    expect(await ask("/limit?key=b")).toMatchObject([
      { success: true },
      { name: "TypeError", message: expect.stringContaining("limit() takes { key }") },
    ]);
  });
});
