/**
 * Each limit of docs/limits.md that is neither CPU time nor memory (attacks.test.ts), on the real platform: in
 * a cell behind the hop and in an edge.
 */
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "1"] });
  await platform.api("POST", "/workers/dispatch/namespaces", { name: "trusted" });
  await platform.api("PUT", "/workers/dispatch/namespaces/trusted", { isolation: "trusted" });
});

afterAll(async () => {
  await platform.stop();
});

const HANDLERS = `
  const MEGABYTE = new Uint8Array(1 << 20);
  const handlers = {
    "/slow": async () => { await scheduler.wait(600); return new Response("slow"); },
    "/fetches": async () => {
      const results = [];
      for (let i = 0; i < 5; i++) {
        try { results.push((await fetch("http://10.0.0.1/")).status); }
        catch (error) { results.push(error.message); }
      }
      return Response.json(results);
    },
    "/read": async (request) => new Response(String((await request.arrayBuffer()).byteLength)),
    "/large": () => new Response(new Uint8Array(2 << 20)),
    "/stream": () => {
      let left = 4;
      return new Response(new ReadableStream({ pull(controller) {
        if (left-- > 0) controller.enqueue(MEGABYTE.slice()); else controller.close();
      } }));
    },
    "/ring": async (request) => {
      const inner = await fetch(request.url);
      return new Response(await inner.text(), inner);
    },
    "/": () => new Response("ok"),
  };
  export default { fetch: (request) => handlers[new URL(request.url).pathname](request) };`;

/** A body that has `bytes` bytes and then neither goes on nor ends, so that nobody answers because it did. */
function unfinished(bytes: number): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(bytes));
    },
  });
}

interface Download {
  readonly status: number;
  /** The answer came to its end, as HTTP tells it. */
  readonly isComplete: boolean;
}

function download(host: string, path: string): Promise<Download> {
  const { port } = new URL(platform.wranglerEnv.SKEP_URL);
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, path, headers: { host }, agent: false }, (incoming) => {
      incoming.on("error", () => {
        // It was cut off, which `isComplete` tells.
      });
      incoming.on("close", () => {
        resolve({ status: incoming.statusCode ?? 0, isComplete: incoming.complete });
      });
      incoming.resume();
    });
    outgoing.on("error", reject).end();
  });
}

interface ErrorBody {
  readonly error: { readonly message: string };
}

describe.each([
  { where: "in a cell", namespace: "production", large: { status: 502, isComplete: true } },
  // Within a process the runtime does not tell the length of a body.
  { where: "in an edge", namespace: "trusted", large: { status: 200, isComplete: false } },
])("$where", ({ namespace, large }) => {
  async function limited(script: string, limits: Record<string, number>) {
    await platform.deploy(script, HANDLERS, namespace);
    const path = `/workers/dispatch/namespaces/${namespace}/scripts/${script}/limits`;
    const response = await platform.api("PUT", path, limits);
    expect(response.status, await response.clone().text()).toBe(200);
    return (pathname: string, request?: Parameters<Platform["fetchHost"]>[2]) =>
      platform.fetchHost(`${script}.${namespace}.localhost`, pathname, request);
  }

  async function expectError(response: Response, status: number, code: string, message: RegExp) {
    const { error } = (await response.json()) as ErrorBody;
    expect(error.message).toMatch(message);
    expect([response.status, response.headers.get("x-skep-error")]).toEqual([status, code]);
  }

  test("wall time until the response head", async () => {
    const ask = await limited("wall", { wall_ms: 200 });
    await expectError(await ask("/slow"), 504, "524", /wall time limit.*200 ms/);
    expect(await (await ask("/")).text()).toBe("ok");
  });

  test("subrequests", async () => {
    const ask = await limited("subrequests", { subrequests: 3 });
    const refused = expect.stringMatching(/Too many subrequests/);
    expect(await (await ask("/fetches")).json()).toEqual([502, 502, 502, refused, refused]);
    expect(await (await ask("/fetches")).json()).toEqual([502, 502, 502, refused, refused]);
  });

  test("request body, with and without a length", async () => {
    const ask = await limited("request", { request_body_mb: 1 });
    const headers = { "content-length": String(2 << 20) };
    const declared = await ask("/read", { method: "POST", headers, body: unfinished(1) });
    await expectError(declared, 413, "413", /request_body_mb/);
    const chunked = await ask("/read", { method: "POST", body: unfinished(1.5 * 2 ** 20) });
    await expectError(chunked, 413, "413", /request_body_mb/);
    const small = await ask("/read", { method: "POST", body: new Uint8Array(1 << 20) });
    expect(await small.text()).toBe(String(1 << 20));
  });

  test("response body, with and without a length", async () => {
    await limited("response", { response_body_mb: 1 });
    const host = `response.${namespace}.localhost`;
    expect(await download(host, "/large")).toEqual(large);
    expect(await download(host, "/stream")).toEqual({ status: 200, isComplete: false });
    expect(await download(host, "/")).toEqual({ status: 200, isComplete: true });
  });

  test("invocations at once", async () => {
    const ask = await limited("concurrency", { concurrency: 2 });
    await (await ask("/")).text();
    const responses = await Promise.all([ask("/slow"), ask("/slow"), ask("/slow")]);
    expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200, 200, 429,
    ]);
    const refused = responses.find(({ status }) => status === 429) as Response;
    await expectError(refused, 429, "1015", /concurrency = 2/);
  });

  test("requests per second", async () => {
    const ask = await limited("rate", { requests_per_second: 3 });
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++) statuses.push((await ask("/")).status);
    expect(statuses.slice(0, 3)).toEqual([200, 200, 200]);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(0);
    const refused = await ask("/");
    await expectError(refused, 429, "1015", /requests_per_second = 3/);
    expect(refused.headers.get("retry-after")).not.toBeNull();
  });

  test("a function that calls itself", async () => {
    const ask = await limited("ring", {});
    const response = await ask("/ring");
    const ring = new RegExp(`${namespace}/ring -> ${namespace}/ring`);
    // Passed on by the functions of the ring, so it is not the platform's own answer any more.
    expect([response.status, await response.text()]).toEqual([508, expect.stringMatching(ring)]);
    expect(response.headers.get("x-skep-error")).toBeNull();
  });

  test("of the dispatcher's own choosing cannot be set by the function", async () => {
    const ask = await limited("forged", { subrequests: 1 });
    const response = await ask("/fetches", { headers: { "x-skep-limits": '{"subrequests":99}' } });
    const [first, second] = (await response.json()) as unknown[];
    expect([first, second]).toEqual([502, expect.stringMatching(/Too many subrequests/)]);
  });
});

test("a limit out of range is refused and named", async () => {
  await platform.deploy("ranges", HANDLERS);
  const path = "/workers/dispatch/namespaces/production/scripts/ranges/limits";
  for (const limits of [{ cpu_ms: 10_000_000 }, { cpu_ms: -1 }, { memory: 5 }, { wall_ms: "x" }]) {
    const response = await platform.api("PUT", path, limits);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(Object.keys(limits)[0]);
  }
});
