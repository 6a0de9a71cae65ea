/** Outbound Workers on the real platform, for functions in a cell and in an edge, under a dispatcher of its own. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";

const NAMESPACES = "/workers/dispatch/namespaces";

/** `/<namespace>/<script>/…`; the headers `x-outbound`, JSON, and `x-customer` become outbound parameters. */
const DISPATCHER = `
  export default {
    async fetch(request, env) {
      const { pathname, host } = new URL(request.url);
      const [, namespace, script, ...rest] = pathname.split("/");
      if (script === undefined) return new Response("skep");
      const customer = request.headers.get("x-customer");
      const given = request.headers.get("x-outbound");
      const outbound = given ? JSON.parse(given) : customer ? { customer } : undefined;
      let stage = "get";
      try {
        const worker = env.NAMESPACES.get(namespace).get(script, undefined, outbound && { outbound });
        stage = "fetch";
        return await worker.fetch("http://function/" + rest.join("/"), request);
      } catch ({ name, message }) {
        return Response.json({ stage, name, message }, { status: 599 });
      }
    }
  };`;

/** Answers for every host but the one that it fetches itself, and tells what it saw. */
const OUTBOUND = `
  let calls = 0;
  export default {
    async fetch(request, env) {
      const { hostname, pathname } = new URL(request.url);
      if (hostname === "10.0.0.1" || hostname.endsWith("localhost")) return fetch(request);
      if (pathname === "/throws") throw new Error("a secret of the operator");
      if (request.headers.has("upgrade")) {
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.addEventListener("message", ({ data }) => server.send(env.customer + " got " + data));
        server.addEventListener("close", () => server.close());
        return new Response(null, { status: 101, webSocket: client });
      }
      const own = [...request.headers.keys()].filter((name) => /^(x-skep-|cf-)/.test(name));
      const { url, method } = request;
      const { customer, plan, SECRET } = env;
      const seen = { url, method, customer, plan, SECRET, own, calls: ++calls, body: await request.text() };
      return Response.json(seen, { headers: { "x-skep-egress-error": "forged" } });
    }
  };`;

const FUNCTION = `
  import { connect } from "cloudflare:sockets";
  let customers = new Set();
  const handlers = {
    "/": () => fetch("https://api.example.invalid/things?a=1", { method: "POST", body: "honey", headers: { "x-skep-egress": "forged" } }),
    "/slow": async () => { await scheduler.wait(20); return handlers["/"](); },
    "/private": () => fetch("http://10.0.0.1/"),
    "/throws": async () => {
      const response = await fetch("https://api.example.invalid/throws");
      return Response.json([response.status, response.headers.get("x-skep-egress-error"), await response.text()]);
    },
    "/ring": (request) => fetch(request.headers.get("x-next"), request),
    "/connect": async () => {
      try { await connect("192.0.2.1:25").opened; return new Response("opened"); }
      catch (error) { return new Response(error.message); }
    },
    "/socket": async () => {
      const response = await fetch("https://api.example.invalid/", { headers: { upgrade: "websocket" } });
      const socket = response.webSocket;
      if (!socket) return new Response("no socket: " + response.status);
      socket.accept();
      const { promise, resolve } = Promise.withResolvers();
      socket.addEventListener("message", ({ data }) => resolve(data));
      socket.send("honey");
      const answer = await promise;
      socket.close();
      return new Response(answer);
    },
    "/many": async () => {
      const results = [];
      for (let i = 0; i < 5; i++) {
        try { results.push((await fetch("https://api.example.invalid/")).status); }
        catch (error) { results.push(error.message); }
      }
      return Response.json(results);
    },
    "/memory": async (request) => {
      const seen = await (await handlers["/"]()).json();
      customers.add(seen.customer);
      return Response.json([...customers]);
    },
  };
  export default { fetch: (request) => handlers[new URL(request.url).pathname](request) };`;

interface Seen {
  readonly customer?: unknown;
  readonly plan?: unknown;
}

let platform: Platform;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "skep-outbound-"));
  const dispatcher = join(directory, "dispatcher.js");
  await writeFile(dispatcher, DISPATCHER);
  platform = await startPlatform({ args: ["--edges", "2", "--dispatcher", dispatcher] });
  for (const name of ["operator", "proven"]) await platform.api("POST", NAMESPACES, { name });
  for (const name of ["operator", "proven"]) await change(name, { isolation: "trusted" });
  await platform.deploy("gatekeeper", OUTBOUND, "operator");
  for (const namespace of ["production", "proven"]) {
    await platform.deploy("f", FUNCTION, namespace);
  }
});

afterAll(async () => {
  await platform.stop();
  await rm(directory, { recursive: true });
});

async function change(namespace: string, body: object): Promise<Response> {
  return platform.api("PUT", `${NAMESPACES}/${namespace}`, body);
}

async function setOutbound(namespace: string): Promise<void> {
  const outbound = { script: "operator/gatekeeper", parameters: ["customer", "plan"] };
  const response = await change(namespace, { outbound });
  expect(response.status, await response.text()).toBe(200);
}

describe.each([
  { where: "in a cell", namespace: "production" },
  { where: "in an edge", namespace: "proven" },
])("$where", ({ namespace }) => {
  beforeAll(() => setOutbound(namespace));

  const ask = (path: string, headers: Record<string, string> = {}) =>
    platform.fetchHost("localhost", `/${namespace}/f${path}`, { headers });

  test("a fetch is answered by the outbound Worker, which has the parameters in its env", async () => {
    // In a header, JSON is written in ASCII.
    const response = await ask("/", { "x-outbound": '{"customer":"Zo\\u00eb \\u8702"}' });
    expect(response.headers.get("x-skep-egress-error")).toBeNull();
    expect(await response.json()).toMatchObject({
      url: "https://api.example.invalid/things?a=1",
      method: "POST",
      customer: "Zoë 蜂",
      body: "honey",
      own: [],
    });
  });

  test("parameters are any JSON, and those that were not passed are undefined", async () => {
    const customer = { name: "acme", plans: [1, null] };
    const outbound = JSON.stringify({ customer });
    const seen = (await (await ask("/", { "x-outbound": outbound })).json()) as Seen;
    expect(seen.customer).toEqual(customer);
    expect(seen).not.toHaveProperty("plan");
    // As many characters as go, each of which takes most bytes in headers.
    const longest = `{"customer":"${"\\u8702".repeat(4_000)}"}`;
    const { customer: bees } = (await (await ask("/", { "x-outbound": longest })).json()) as Seen;
    expect(bees).toBe("蜂".repeat(4_000));
    expect(await (await ask("/")).json()).not.toHaveProperty("customer");
  });

  test("concurrent calls with different parameters do not mix, nor do their isolates", async () => {
    const customers = Array.from({ length: 60 }, (_, n) => `customer-${n % 4}`);
    const seen = await Promise.all(
      customers.map(async (customer) => {
        const response = await ask("/slow", { "x-customer": customer });
        return ((await response.json()) as Seen).customer;
      }),
    );
    expect(seen).toEqual(customers);
    for (const customer of ["customer-0", "customer-1"]) {
      const response = await ask("/memory", { "x-customer": customer });
      expect(await response.json()).toEqual([customer]);
    }
  });

  test("the outbound Worker's own fetch leaves through egress", async () => {
    const response = await ask("/private");
    expect(response.status).toBe(502);
    expect(await response.text()).toMatch(/10\.0\.0\.1 has no public address/);
  });

  test("connect() is refused", async () => {
    expect(await (await ask("/connect")).text()).toMatch(/cannot connect/);
  });

  test("a WebSocket goes the same way", async () => {
    expect(await (await ask("/socket", { "x-customer": "acme" })).text()).toBe("acme got honey");
  });

  test("its error is a bad gateway that tells nothing", async () => {
    const sentence = "The platform's outbound Worker failed.\n";
    expect(await (await ask("/throws")).json()).toEqual([502, "outbound-failed", sentence]);
  });

  test("parameters that it does not declare are refused by name, as are too many", async () => {
    await ask("/");
    const unknown = await ask("/", { "x-outbound": JSON.stringify({ costumer: "acme" }) });
    const error = (await unknown.json()) as { name: string; message: string };
    expect(error.name).toBe("TypeError");
    expect(error.message).toMatch(/"costumer".*\[customer, plan\]/);
    const large = await ask("/", { "x-customer": "x".repeat(5_000) });
    expect(((await large.json()) as { message: string }).message).toMatch(/more than 4096/);
  });

  test("subrequests are counted as ever", async () => {
    const path = `${NAMESPACES}/${namespace}/scripts/f/limits`;
    await platform.api("PUT", path, { subrequests: 3 });
    const refused = expect.stringMatching(/Too many subrequests/);
    expect(await (await ask("/many")).json()).toEqual([200, 200, 200, refused, refused]);
    await platform.api("PUT", path, { subrequests: null });
  });

  test("a ring through the outbound Worker is cut", async () => {
    const { port } = new URL(platform.wranglerEnv.SKEP_URL);
    const next = `http://localhost:${port}/${namespace}/f/ring`;
    const response = await ask("/ring", { "x-next": next });
    expect(await response.text()).toMatch(/in a row|in a ring/);
    expect([508, 599]).toContain(response.status);
  });

  test("without the setting fetches go out again, and parameters are refused", async () => {
    const response = await change(namespace, { outbound: null });
    expect(((await response.json()) as { result: object }).result).toMatchObject({
      outbound: null,
    });
    const direct = await ask("/");
    expect(direct.status).toBe(502);
    expect(await direct.text()).toMatch(/api\.example\.invalid/);
    const refused = await ask("/", { "x-customer": "acme" });
    expect(await refused.json()).toEqual({
      stage: "get",
      name: "TypeError",
      message: expect.stringContaining(`"${namespace}" has no outbound Worker`),
    });
    await setOutbound(namespace);
    expect(await (await ask("/", { "x-customer": "acme" })).json()).toMatchObject({
      customer: "acme",
    });
  });
});

test("an outbound Worker may itself be on probation", async () => {
  await platform.api("POST", NAMESPACES, { name: "novice" });
  await platform.deploy("gatekeeper", OUTBOUND, "novice");
  const outbound = { script: "novice/gatekeeper", parameters: ["customer"] };
  expect((await change("proven", { outbound })).status).toBe(200);
  for (const customer of ["a", "b"]) {
    const headers = { "x-customer": customer };
    const response = await platform.fetchHost("localhost", "/proven/f/", { headers });
    expect(await response.json()).toMatchObject({ customer, calls: 1, body: "honey" });
  }
});

test("its invocations are recorded as a function's are", async () => {
  const path = `${NAMESPACES}/operator/scripts/gatekeeper/metrics`;
  const recorded = async () => {
    const { result } = (await (await platform.api("GET", path)).json()) as {
      result: { summary: { requests: number } };
    };
    return result.summary.requests;
  };
  await expect.poll(recorded, { timeout: 10_000 }).toBeGreaterThan(100);
});

test("fetches never go past an outbound Worker that is gone", async () => {
  await setOutbound("proven");
  await platform.api("DELETE", `${NAMESPACES}/operator/scripts/gatekeeper`);
  const response = await platform.fetchHost("localhost", "/proven/f/private");
  expect(await response.text()).toBe("The platform's outbound Worker failed.\n");
  await platform.deploy("gatekeeper", OUTBOUND, "operator");
  const again = await platform.fetchHost("localhost", "/proven/f/private");
  expect(await again.text()).toMatch(/has no public address/);
});
