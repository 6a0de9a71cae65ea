/**
 * Static assets on the real platform, deployed by the unmodified wrangler and by the API. That they are found as on
 * Cloudflare is the subject of assets-conformance.test.ts.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";
import { deploySite, hashOf, resultOf, SCRIPTS, sendAssets } from "./site.ts";
import { createProject, wrangler } from "./wrangler.ts";

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.stop());

const WORKER = `export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/assets/")) {
      return env.ASSETS.fetch(new Request(new URL(pathname.slice(7), request.url), request));
    }
    return new Response("worker");
  },
};`;

const toml = (name: string, more: string) =>
  `name = "${name}"\ncompatibility_date = "2026-11-01"\n${more}`;

async function text(script: string, path: string, namespace = "production"): Promise<string> {
  return (await platform.fetchHost(`${script}.${namespace}.localhost`, path)).text();
}

describe("wrangler deploy --dispatch-namespace", { timeout: 120_000 }, () => {
  test("a Worker with assets, rules and a binding; and once more with one file changed", async () => {
    const directory = await createProject({
      "wrangler.toml": toml(
        "shop",
        `main = "index.js"\n[assets]\ndirectory = "./public"\nbinding = "ASSETS"\n`,
      ),
      "index.js": WORKER,
      "public/index.html": "<h1>shop</h1>",
      "public/logo.png": Uint8Array.from([137, 80, 78, 71]),
      "public/_redirects": "/old /new 301\n",
      "public/_headers": "/logo.png\n  X-Robots-Tag: noindex\n",
    });
    const deploy = () =>
      wrangler(directory, platform.wranglerEnv, "deploy", "--dispatch-namespace", "production");
    const first = await deploy();
    expect(first.exitCode, first.output).toBe(0);
    expect(first.output).toContain("Found 2 new or modified static assets");

    const page = await platform.fetch("shop", "/");
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(await page.text()).toBe("<h1>shop</h1>");
    const logo = await platform.fetch("shop", "/logo.png");
    expect(logo.headers.get("x-robots-tag")).toBe("noindex");
    expect(logo.headers.get("content-type")).toBe("image/png");
    const old = await platform.fetch("shop", "/old");
    expect([old.status, old.headers.get("location")]).toEqual([301, "/new"]);
    expect(await text("shop", "/elsewhere")).toBe("worker");
    expect(await text("shop", "/assets/")).toBe("<h1>shop</h1>");

    await writeFile(join(directory, "public/index.html"), "<h1>sale</h1>");
    const second = await deploy();
    expect(second.output).toContain("Found 1 new or modified static asset");
    expect(await text("shop", "/")).toBe("<h1>sale</h1>");
    expect(await text("shop", "/assets/")).toBe("<h1>sale</h1>");
    expect((await deploy()).output).toContain("No updated asset files to upload");
    expect(await text("shop", "/")).toBe("<h1>sale</h1>");
  });

  test("assets without a Worker", async () => {
    const directory = await createProject({
      "wrangler.toml": toml(
        "brochure",
        `[assets]\ndirectory = "./public"\nnot_found_handling = "404-page"\n`,
      ),
      "public/index.html": "brochure",
      "public/404.html": "lost",
    });
    const args = ["deploy", "--dispatch-namespace", "production"];
    const { exitCode, output } = await wrangler(directory, platform.wranglerEnv, ...args);
    expect(exitCode, output).toBe(0);
    expect(await text("brochure", "/")).toBe("brochure");
    const missing = await platform.fetch("brochure", "/nope");
    expect([missing.status, await missing.text()]).toEqual([404, "lost"]);
    const refused = await platform.fetch("brochure", "/", { method: "POST" });
    expect(refused.status).toBe(405);
    const script = await platform.api("GET", `${SCRIPTS}/brochure`);
    expect(await script.json()).toMatchObject({
      result: { script: { has_assets: true, has_modules: false } },
    });
  });
});

describe("wrangler with a Worker outside of a namespace", { timeout: 120_000 }, () => {
  test("deploys, uploads versions and rolls back, each version with assets of its own", async () => {
    const directory = await createProject({
      "wrangler.toml": toml(
        "blog",
        `main = "index.js"\n[assets]\ndirectory = "./public"\nbinding = "ASSETS"\n`,
      ),
      "index.js": WORKER,
      "public/index.html": "first",
    });
    const run = async (...args: string[]) => {
      const { exitCode, output } = await wrangler(directory, platform.wranglerEnv, ...args);
      expect(exitCode, output).toBe(0);
      return output;
    };
    const pages = () =>
      Promise.all([text("blog", "/", "workers"), text("blog", "/assets/", "workers")]);
    await run("deploy");
    expect(await pages()).toEqual(["first", "first"]);
    await writeFile(join(directory, "public/index.html"), "second");
    const uploaded = await run("versions", "upload");
    expect(await pages()).toEqual(["first", "first"]);
    const version = /Worker Version ID: ([\w-]+)/.exec(uploaded)?.[1] ?? "";
    const preview = `${version.slice(0, 8)}-blog`;
    expect(await text(preview, "/", "workers")).toBe("second");
    expect(await text(preview, "/assets/", "workers")).toBe("second");
    await run("versions", "deploy", `${version}@100`, "--yes");
    expect(await pages()).toEqual(["second", "second"]);
    await run("rollback", "--yes", "--message", "back");
    expect(await pages()).toEqual(["first", "first"]);
  });
});

describe("an asset", { timeout: 60_000 }, () => {
  /** More than an edge keeps of one content. */
  const large = Uint8Array.from({ length: 5 * 1024 * 1024 }, (_, n) => (n * 7 + (n >> 8)) % 251);

  beforeAll(async () => {
    await deploySite(platform, "files", {
      files: { "/small.txt": "0123456789", "/large.bin": large, "/index.html": "files" },
      worker: WORKER,
      metadata: { bindings: [{ type: "assets", name: "ASSETS" }] },
    });
  });

  test("is not sent again to who has it", async () => {
    const etag = `"${await hashOf("/small.txt", new TextEncoder().encode("0123456789"))}"`;
    expect((await platform.fetch("files", "/small.txt")).headers.get("etag")).toBe(etag);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const headers = { "if-none-match": known };
      const response = await platform.fetch("files", "/small.txt", { headers });
      expect([response.status, response.headers.get("etag")]).toEqual([304, etag]);
    }
    const headers = { "if-none-match": `"other"` };
    expect((await platform.fetch("files", "/small.txt", { headers })).status).toBe(200);
  });

  test.each([
    ["bytes=2-4", 206, "bytes 2-4/10", "234"],
    ["bytes=7-", 206, "bytes 7-9/10", "789"],
    ["bytes=-3", 206, "bytes 7-9/10", "789"],
    ["bytes=5-99", 206, "bytes 5-9/10", "56789"],
    ["bytes=10-", 416, "bytes */10", ""],
    ["bytes=-0", 416, "bytes */10", ""],
    ["bytes=4-2", 200, null, "0123456789"],
    ["bytes=0-1,4-5", 200, null, "0123456789"],
    ["lines=1-2", 200, null, "0123456789"],
  ])("in part: %s", async (range, status, contentRange, body) => {
    const response = await platform.fetch("files", "/small.txt", { headers: { range } });
    expect([response.status, response.headers.get("content-range"), await response.text()]).toEqual(
      [status, contentRange, body],
    );
  });

  test("in part only if it is still the same", async () => {
    const headers = { range: "bytes=0-0", "if-range": `"other"` };
    expect((await platform.fetch("files", "/small.txt", { headers })).status).toBe(200);
  });

  test("that is large streams, whole, in part and through the binding", async () => {
    for (const path of ["/large.bin", "/assets/large.bin"]) {
      const whole = await platform.fetch("files", path);
      expect(Buffer.compare(Buffer.from(await whole.arrayBuffer()), large), path).toBe(0);
      const headers = { range: "bytes=3000000-3999999" };
      const part = await platform.fetch("files", path, { headers });
      expect(part.status, path).toBe(206);
      const wanted = large.subarray(3_000_000, 4_000_000);
      expect(Buffer.compare(Buffer.from(await part.arrayBuffer()), wanted), path).toBe(0);
      const head = await platform.fetch("files", path, { method: "HEAD" });
      expect([head.status, await head.text()], path).toEqual([200, ""]);
    }
  });

  test("is counted as a request, says nothing about the version's conduct, and is served while the hub is away", async () => {
    expect(await text("files", "/")).toBe("files");
    const requests = 40;
    const before = await platform.requestsOf("files");
    for (let n = 0; n < requests; n++) expect(await text("files", "/small.txt")).toBe("0123456789");
    await expect
      .poll(() => platform.requestsOf("files"), { timeout: 20_000 })
      .toBeGreaterThanOrEqual(before + requests);
    const response = await platform.api("GET", `${SCRIPTS}/files/placement`);
    const { result } = (await response.json()) as { result: { clean_invocations: number } };
    expect(result.clean_invocations).toBeLessThan(requests);
    await platform.kill("hub");
    expect(await text("files", "/small.txt")).toBe("0123456789");
  });
});

test("a proven function finds its assets without leaving the edge, and each namespace its own", async () => {
  await platform.api("POST", "/workers/dispatch/namespaces", { name: "own" });
  await platform.api("PUT", "/workers/dispatch/namespaces/own", { isolation: "trusted" });
  const metadata = { bindings: [{ type: "assets", name: "ASSETS" }] };
  const site = { worker: WORKER, metadata };
  await deploySite(platform, "twin", { ...site, files: { "/a.txt": "production's" } });
  await deploySite(platform, "twin", { ...site, files: { "/a.txt": "own" } }, "own");
  expect(await text("twin", "/assets/a.txt", "own")).toBe("own");
  expect(await text("twin", "/a.txt", "own")).toBe("own");
  expect(await text("twin", "/a.txt")).toBe("production's");
  // What one namespace has, the other one is asked for.
  const files = { "/a.txt": { hash: await hashOf("/a.txt", Buffer.from("own")), size: 3 } };
  const opened = await platform.api("POST", `${SCRIPTS}/twin/assets-upload-session`, {
    manifest: files,
  });
  expect((await resultOf(opened)).buckets).toEqual([[files["/a.txt"].hash]]);
});

test("an upload that is broken off by a crash of the hub goes on afterwards", async () => {
  const files = { "/a.txt": "a".repeat(1000), "/b.txt": "b".repeat(1000) };
  const manifest: Record<string, { hash: string; size: number }> = {};
  for (const [path, content] of Object.entries(files)) {
    manifest[path] = { hash: await hashOf(path, Buffer.from(content)), size: 1000 };
  }
  const opened = await platform.api("POST", `${SCRIPTS}/crash/assets-upload-session`, { manifest });
  const { jwt } = await resultOf(opened);
  const send = (path: string, content: string) =>
    sendAssets(platform, jwt, `/${manifest[path]?.hash}`, Buffer.from(content));
  expect((await send("/a.txt", files["/a.txt"])).status).toBe(202);
  await platform.kill("hub");
  const goOn = () =>
    send("/b.txt", files["/b.txt"]).then(
      ({ status }) => status,
      () => 0,
    );
  await expect.poll(goOn, { timeout: 20_000 }).toBe(201);
});
