/**
 * R2 on the real platform: buckets and objects by the real wrangler and the SDK, a function that is bound to one that its deploy
 * made, and what is left of uploads when the store is killed.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";
import { sdkFor } from "./sdk-client.ts";
import { createProject, wrangler } from "./wrangler.ts";

const MIB = 2 ** 20;
let platform: Platform;
let directory: string;

const SOURCE = `export default {
  async fetch(request, env) {
    const key = new URL(request.url).pathname.slice(1);
    if (request.method === "PUT") return Response.json(await env.BUCKET.put(key, request.body));
    if (request.method === "DELETE") return Response.json((await env.BUCKET.delete(key)) ?? null);
    const object = await env.BUCKET.get(key, { range: request.headers });
    if (object === null) return new Response("none", { status: 404 });
    return new Response(object.body, { headers: { etag: object.httpEtag } });
  },
};`;

beforeAll(async () => {
  platform = await startPlatform();
  directory = await createProject({
    "wrangler.toml": `name = "files"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n[[r2_buckets]]\nbinding = "BUCKET"\n`,
    "index.js": SOURCE,
    "upload.bin": new Uint8Array(3 * MIB).fill(7),
  });
}, 60_000);

afterAll(async () => {
  await platform.stop();
});

async function run(...args: string[]): Promise<string> {
  const { exitCode, output } = await wrangler(directory, platform.wranglerEnv, ...args);
  expect(exitCode, output).toBe(0);
  return output;
}

test("a deploy makes the bucket that a binding does not name, and the function uses it", async () => {
  await run("deploy", "--dispatch-namespace", "production");
  expect(await run("r2", "bucket", "list")).toContain("files-bucket");
  const body = new Uint8Array(5 * MIB).map((_, index) => index % 253);
  const made = await platform.fetch("files", "/large", { method: "PUT", body });
  expect(await made.json()).toMatchObject({
    key: "large",
    size: 5 * MIB,
    storageClass: "Standard",
  });
  const found = await platform.fetch("files", "/large");
  expect(found.headers.get("content-length")).toBe(String(5 * MIB));
  expect(Buffer.compare(Buffer.from(await found.arrayBuffer()), body)).toBe(0);
  const part = await platform.fetch("files", "/large", { headers: { range: "bytes=10-19" } });
  expect(new Uint8Array(await part.arrayBuffer())).toEqual(body.slice(10, 20));
}, 120_000);

test("wrangler makes buckets, moves objects and sets rules", async () => {
  await run("r2", "bucket", "create", "by-hand");
  await run("r2", "object", "put", "by-hand/dir/a.bin", "--file", "upload.bin", "--remote");
  expect(await run("r2", "bucket", "info", "by-hand")).toMatch(/object_count:\s+1/);
  await run("r2", "object", "get", "by-hand/dir/a.bin", "--file", "download.bin", "--remote");
  const [sent, got] = await Promise.all(
    ["upload.bin", "download.bin"].map((name) => readFile(join(directory, name))),
  );
  expect(sent && got && Buffer.compare(sent, got)).toBe(0);

  await run(
    "r2",
    "bucket",
    "lifecycle",
    "add",
    "by-hand",
    "old",
    "tmp/",
    "--expire-days",
    "1",
    "-y",
  );
  expect(await run("r2", "bucket", "lifecycle", "list", "by-hand")).toContain("Expire objects");
  const cors = { rules: [{ allowed: { origins: ["*"], methods: ["GET"] } }] };
  await writeFile(join(directory, "cors.json"), JSON.stringify(cors));
  await run("r2", "bucket", "cors", "set", "by-hand", "--file", "cors.json", "-y");
  expect(await run("r2", "bucket", "cors", "list", "by-hand")).toContain("GET");

  const full = await wrangler(directory, platform.wranglerEnv, "r2", "bucket", "delete", "by-hand");
  expect(full.output).toContain("not empty");
  await run("r2", "object", "delete", "by-hand/dir/a.bin", "--remote");
  await run("r2", "bucket", "delete", "by-hand");
  const gone = await wrangler(directory, platform.wranglerEnv, "r2", "bucket", "info", "by-hand");
  expect(gone.exitCode).not.toBe(0);
  for (const command of [
    ["domain", "list"],
    ["lock", "list"],
    ["sippy", "get"],
  ]) {
    const refused = await wrangler(
      directory,
      platform.wranglerEnv,
      "r2",
      "bucket",
      ...command,
      "x",
    );
    expect(refused.output).toContain("Skep has no");
  }
}, 240_000);

test("the SDK lists buckets and objects, and moves objects", async () => {
  const { client, account } = sdkFor(platform);
  const { r2 } = client;
  await r2.buckets.create({ ...account, name: "of-sdk" });
  const { buckets } = await r2.buckets.list(account);
  expect(buckets?.map(({ name }) => name)).toContain("of-sdk");
  const of = { ...account, bucket_name: "of-sdk" };
  expect(await r2.buckets.objects.upload("a/b", "content", of)).toMatchObject({ key: "a/b" });
  expect(await (await r2.buckets.objects.get("a/b", of)).text()).toBe("content");
  const keys: unknown[] = [];
  for await (const { key } of r2.buckets.objects.list("of-sdk", account)) keys.push(key);
  expect(keys).toEqual(["a/b"]);
  await r2.buckets.objects.delete("a/b", of);
  await r2.buckets.delete("of-sdk", account);
}, 60_000);

test("what an upload has written when the store is killed is swept, and what was acknowledged stays", async () => {
  await platform.fetch("files", "/kept", { method: "PUT", body: new Uint8Array(MIB).fill(1) });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const headers = { "content-length": String(64 * MIB) };
  const upload = platform
    .fetch("files", "/half", { method: "PUT", body: readable as never, headers })
    .then((response) => response.status)
    .catch(() => 0);
  for (let index = 0; index < 20; index++) await writer.write(new Uint8Array(MIB));
  await expect.poll(() => hidden()).not.toEqual([]);
  await platform.kill("store");
  await writer.abort().catch(() => {});
  expect(await upload).not.toBe(200);
  await expect
    .poll(async () => (await platform.fetch("files", "/kept")).status, { timeout: 30_000 })
    .toBe(200);
  expect((await platform.fetch("files", "/half")).status).toBe(404);
  // By the alarm that was set when the file was announced, or by what happens next.
  await platform.fetch("files", "/kept", { method: "DELETE" });
  await expect.poll(() => hidden(), { timeout: 90_000, interval: 500 }).toEqual([]);
}, 180_000);

test("deleting frees the disk", async () => {
  const body = new Uint8Array(2 * MIB);
  for (const key of ["one", "one", "two"]) {
    await platform.fetch("files", `/${key}`, { method: "PUT", body });
  }
  for (const key of ["one", "two", "large"])
    await platform.fetch("files", `/${key}`, { method: "DELETE" });
  await expect.poll(() => files(), { timeout: 20_000 }).toEqual([]);
}, 60_000);

async function files(): Promise<string[]> {
  const all = await readdir(join(platform.data, "store/files"), {
    recursive: true,
    withFileTypes: true,
  });
  return all.filter((entry) => entry.isFile()).map(({ name }) => name);
}

/** Files that are being written have such names. */
async function hidden(): Promise<string[]> {
  return (await files()).filter((name) => name.startsWith("."));
}
