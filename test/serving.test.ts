/** The public edge of the real platform: protocols, big bodies, routes, HTTPS, errors. */
import { createHash, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { json } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.deploy(
    "echo",
    `export default {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/meta") return Response.json({
        method: request.method, url: request.url, cf: request.cf ?? null, headers: [...request.headers],
      });
      return new Response(request.body, { headers: { "x-method": request.method } });
    } }`,
  );
});

afterAll(async () => {
  await platform.stop();
});

test("100 MB go up and down through a function without being held in memory", async () => {
  const echo = async (body: Buffer) => {
    const response = await platform.fetch("echo", "/", { method: "POST", body });
    const hash = createHash("sha256");
    for await (const chunk of response.body ?? []) hash.update(chunk as Uint8Array);
    expect(hash.digest("hex")).toBe(createHash("sha256").update(body).digest("hex"));
  };
  const body = randomBytes(100 * 1024 * 1024);
  // As much in small bodies leaves as much garbage.
  for (let time = 0; time < 10; time++) await echo(body.subarray(0, body.byteLength / 10));
  const before = await platform.peakRssBytes("edge");
  await echo(body);
  expect((await platform.peakRssBytes("edge")) - before).toBeLessThan(body.byteLength / 2);
});

test("functions get headers that only the platform sets, and no cf object", async () => {
  const response = await platform.fetch("echo", "/meta", {
    headers: { "cf-connecting-ip": "6.6.6.6", "x-forwarded-proto": "gopher", "cf-ray": "forged" },
  });
  const meta = (await response.json()) as { cf: unknown; headers: [string, string][] };
  const headers = new Map(meta.headers);
  expect(meta.cf).toBeNull();
  expect(headers.get("cf-connecting-ip")).toBe("127.0.0.1");
  expect(headers.get("x-forwarded-proto")).toBe("http");
  expect(headers.get("cf-ray")).toMatch(/^[0-9a-f]{16}$/);
  expect([...headers.keys()].filter((name) => name.startsWith("x-skep"))).toEqual([]);
});

test("HTTPS answers with a certificate that the platform's own CA signed", async () => {
  const ca = await readFile(platform.caFile, "utf8");
  const { port } = new URL(platform.wranglerEnv.SKEP_HTTPS_URL);
  const host = "echo.production.localhost";
  const options = {
    host: "127.0.0.1",
    port,
    path: "/meta",
    servername: host,
    headers: { host },
    ca,
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    httpsRequest(options, resolve).on("error", reject).end();
  });
  const meta = (await json(response)) as { url: string; headers: [string, string][] };
  expect(meta.url).toMatch(/^https:/);
  expect(new Map(meta.headers).get("x-forwarded-proto")).toBe("https");
});

test("a namespace made while the platform runs gets its certificate", async () => {
  const created = await platform.api("POST", "/workers/dispatch/namespaces", { name: "tls" });
  expect(created.status).toBe(200);
  await platform.deploy("hi", `export default { fetch: () => new Response("hi") }`, "tls");
  const ca = await readFile(platform.caFile, "utf8");
  const { port } = new URL(platform.wranglerEnv.SKEP_HTTPS_URL);
  const host = "hi.tls.localhost";
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const options = { host: "127.0.0.1", port, servername: host, headers: { host }, ca };
    httpsRequest(options, (response) => resolve(response.resume().statusCode))
      .on("error", reject)
      .end();
  });
  expect(status).toBe(200);
});

describe("errors of the platform", () => {
  test("no such function, as JSON and as HTML", async () => {
    const json = await platform.fetch("absent", "/");
    expect([json.status, json.headers.get("x-skep-error")]).toEqual([404, "1016"]);
    expect(await json.json()).toMatchObject({ error: { code: 1016 } });
    const html = await platform.fetch("absent", "/", { headers: { accept: "text/html" } });
    expect(html.headers.get("content-type")).toContain("text/html");
  });

  test("an exception is 1101 and says nothing of its cause", async () => {
    await platform.deploy(
      "thrower",
      `export default { fetch() { throw new Error("inner detail"); } }`,
    );
    const response = await platform.fetch("thrower", "/");
    expect([response.status, response.headers.get("x-skep-error")]).toEqual([500, "1101"]);
    expect(await response.text()).not.toContain("inner detail");
  });

  test("a function's own 500 passes untouched", async () => {
    await platform.deploy(
      "failing",
      `export default { fetch: () => new Response("mine", { status: 500 }) }`,
    );
    const response = await platform.fetch("failing", "/");
    expect([response.status, await response.text()]).toEqual([500, "mine"]);
    expect(response.headers.get("x-skep-error")).toBeNull();
  });
});

test("a custom route answers at once, and its removal too", async () => {
  await platform.deploy("shop", `export default { fetch: () => new Response("shop") }`);
  const create = await platform.api("POST", "/workers/dispatch/routes", {
    pattern: "shop.example.com/buy/*",
    namespace: "production",
    script: "shop",
  });
  const { result } = (await create.json()) as { result: { id: string } };
  expect(await (await platform.fetchHost("shop.example.com", "/buy/1")).text()).toBe("shop");
  expect((await platform.fetchHost("shop.example.com", "/other")).status).toBe(404);
  await platform.api("DELETE", `/workers/dispatch/routes/${result.id}`);
  expect((await platform.fetchHost("shop.example.com", "/buy/1")).status).toBe(404);
});

test("with the hub killed, loaded functions go on being served and their records arrive later", async () => {
  // A platform of its own: the others' certificates have replaced edges, which empties them.
  const own = await startPlatform();
  try {
    await own.deploy("steady", `export default { fetch: () => new Response("steady") }`);
    await own.fetch("steady", "/");
    await own.kill("hub");
    for (let i = 0; i < 20; i++) {
      expect(await (await own.fetch("steady", "/")).text()).toBe("steady");
    }
    await expect.poll(() => own.requestsOf("steady"), { timeout: 15_000 }).toBe(21);
  } finally {
    await own.stop();
  }
});

test("an orderly stop loses no records", async () => {
  const own = await startPlatform();
  try {
    await own.deploy("counted", `export default { fetch: () => new Response("counted") }`);
    for (let i = 0; i < 5; i++) await own.fetch("counted", "/");
    await own.interrupt();
    await own.restart();
    expect(await own.requestsOf("counted")).toBe(5);
  } finally {
    await own.stop();
  }
});

test("an acknowledged deploy is what the very next request sees", async () => {
  for (let version = 0; version < 50; version++) {
    await platform.deploy("next", `export default { fetch: () => new Response("${version}") }`);
    expect(await (await platform.fetch("next", "/")).text()).toBe(String(version));
  }
});

describe("a function that does not read what it is sent", () => {
  const BODY = randomBytes(4 * 1024 * 1024);
  const SCRIPT = `export default {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/empty") return new Response(null, { status: 204 });
      if (pathname === "/throw") throw new Error("no");
      if (pathname === "/some") {
        const reader = request.body.getReader();
        await reader.read();
        await reader.cancel();
      }
      if (pathname === "/streamed") {
        const { readable, writable } = new IdentityTransformStream();
        const writer = writable.getWriter();
        void writer.write(new TextEncoder().encode("no")).then(() => writer.close());
        return new Response(readable, { status: 413 });
      }
      return new Response("no", { status: 413 });
    } }`;

  test.each(["production", "trusted"])("still answers, in %s", async (namespace) => {
    if (namespace === "trusted") {
      const path = "/workers/dispatch/namespaces";
      await platform.api("POST", path, { name: namespace });
      await platform.api("PUT", `${path}/${namespace}`, { isolation: "trusted" });
    }
    await platform.deploy("unread", SCRIPT, namespace);
    const statuses = { "/": 413, "/some": 413, "/streamed": 413, "/empty": 204, "/throw": 500 };
    for (const [path, status] of Object.entries(statuses)) {
      for (let round = 0; round < 10; round++) {
        const request = { method: "POST", body: BODY };
        const response = await platform.fetchHost(`unread.${namespace}.localhost`, path, request);
        expect(response.status, `${path}, round ${round}`).toBe(status);
        expect(await response.text()).toMatch(status === 413 ? /^no$/ : /^$|1101/);
      }
    }
  });
});
