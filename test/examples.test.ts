/**
 * The examples of workers/: the unmodified wrangler accepts each for Cloudflare, and what it would upload
 * works in the real runtime. The bundles of build-examples.ts, which the first start deploys, must do the
 * same.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { buildExamples, type ExampleModule } from "../build-examples.ts";
import { wrangler } from "./wrangler.ts";

const EXAMPLES = ["api", "echo", "hello", "stream", "wasm"];
const ROOT = join(import.meta.dirname, "..");

const RUNTIME_TYPES: Readonly<Record<string, "esm" | "wasm">> = {
  "application/javascript+module": "esm",
  "application/wasm": "wasm",
};

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "skep-examples-"));
  await buildExamples(join(directory, "built"));
  const bundled = EXAMPLES.map(async (example) => {
    const out = join(directory, "wrangler", example);
    const project = join(ROOT, "workers", example);
    const env = { HOME: directory };
    const dry = await wrangler(project, env, "deploy", "--dry-run", "--outdir", out);
    if (dry.exitCode !== 0) throw new Error(dry.output);
  });
  await Promise.all(bundled);
}, 120_000);

afterAll(() => rm(directory, { recursive: true, force: true }));

test("are the folders of workers/", async () => {
  const entries = await readdir(join(ROOT, "workers"), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  expect(folders.sort()).toEqual(EXAMPLES);
});

test.each(EXAMPLES)("%s is built into the modules that wrangler would upload", async (example) => {
  const wrangler = await wranglerModules(example);
  const built = await builtModules(example);
  expect(built.map(withoutHash).sort()).toEqual(wrangler.map(withoutHash).sort());
  const metadata: unknown = JSON.parse(
    await readFile(join(directory, "built", example, "metadata.json"), "utf8"),
  );
  expect(metadata).toMatchObject({ main_module: "index.js", compatibility_date: "2026-11-01" });
});

describe.each([
  { source: "wrangler", modulesOf: wranglerModules },
  { source: "built", modulesOf: builtModules },
])("as bundled ($source)", ({ source, modulesOf }) => {
  const output: string[] = [];
  const started: Miniflare[] = [];

  const start = async (example: string): Promise<URL> => {
    const modules = await Promise.all(
      (await modulesOf(example)).map(async ({ name, type, file }) => {
        const contents = new Uint8Array(await readFile(join(directory, source, example, file)));
        return [name, { type: RUNTIME_TYPES[type] ?? "text", contents }] as const;
      }),
    );
    const runtime = new Miniflare({
      handleStructuredLogs: ({ message }) => output.push(message),
      workers: [
        {
          config: {
            name: example,
            compatibilityDate: "2026-11-01",
            manifest: { mainModule: "index.js", modules: Object.fromEntries(modules) },
          },
        },
      ],
    });
    started.push(runtime);
    return runtime.ready;
  };

  afterAll(async () => {
    await Promise.all(started.map((runtime) => runtime.dispose()));
  });

  test("hello answers", async () => {
    const answer = await fetch(await start("hello"));
    expect(answer.status).toBe(200);
    expect(await answer.text()).toMatch(/^Hello/);
  });

  test("wasm computes numbers beyond 2^53 exactly and refuses others", async () => {
    const url = await start("wasm");
    const at = async (n: string): Promise<unknown> => (await fetch(new URL(`?n=${n}`, url))).json();
    expect(await at("0")).toEqual({ n: 0, fibonacci: "0" });
    expect(await at("93")).toEqual({ n: 93, fibonacci: "12200160415121876738" });
    expect((await fetch(new URL("?n=94", url))).status).toBe(400);
    expect((await fetch(new URL("?n=1.5", url))).status).toBe(400);
  });

  test("echo sends text and binary messages back, and closes with the client's code", async () => {
    const url = await start("echo");
    expect((await fetch(url)).status).toBe(426);
    const socket = new WebSocket(url.href.replace("http", "ws"));
    socket.binaryType = "arraybuffer";
    await event(socket, "open");
    socket.send("über");
    expect((await event<MessageEvent>(socket, "message")).data).toBe("über");
    socket.send(new Uint8Array([0, 255, 7]));
    const { data } = await event<MessageEvent>(socket, "message");
    expect([...new Uint8Array(data as ArrayBuffer)]).toEqual([0, 255, 7]);
    socket.close(4321, "done");
    expect(await event<CloseEvent>(socket, "close")).toMatchObject({ code: 4321, reason: "done" });
  });

  test("stream sends chunk by chunk and stops when the client leaves", async () => {
    const url = await start("stream");
    expect(await (await fetch(new URL("?count=3&interval=1", url))).text()).toBe(
      "chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n",
    );
    expect((await fetch(new URL("?count=0", url))).status).toBe(400);

    const leave = new AbortController();
    const answer = await fetch(new URL("?count=5000&interval=20", url), {
      signal: leave.signal,
      headers: { "accept-encoding": "identity" }, // Miniflare would hold chunks back to compress them
    });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toBe("chunk 1 of 5000\n");
    leave.abort();
    await vi.waitFor(() => expect(output.join("")).toMatch(/client left after chunk \d+ of 5000/), {
      timeout: 10_000,
    });
  });

  test("api creates, finds, changes and removes tasks", async () => {
    const url = await start("api");
    const created = await send(url, "POST", "/tasks", { title: " Buy wax ", labels: ["hive"] });
    expect(created).toMatchObject({ status: 201, body: { title: "Buy wax", done: false } });
    const path = `/tasks/${String(created.body.id)}`;
    expect(await send(url, "PATCH", path, { done: true })).toMatchObject({
      status: 200,
      body: { title: "Buy wax", done: true, labels: ["hive"] },
    });
    const comment = { author: "Ada", text: "Two jars." };
    expect(await send(url, "POST", `${path}/comments`, comment)).toMatchObject({ status: 201 });
    expect((await send(url, "GET", `${path}/comments`)).body).toMatchObject([comment]);
    expect((await send(url, "GET", "/tasks?done=true&label=hive")).body).toHaveLength(1);
    expect((await send(url, "GET", "/tasks?done=false")).body).toHaveLength(0);
    expect((await send(url, "GET", "/stats")).body).toEqual({ tasks: 1, done: 1, comments: 1 });
    expect((await send(url, "GET", path)).status).toBe(200);
    expect((await fetch(new URL(path, url), { method: "DELETE" })).status).toBe(204);
    expect((await send(url, "GET", path)).status).toBe(404);
    const { body } = await send(url, "GET", "/");
    expect(new Set(body.routes as string[]).size).toBe(10);
  });

  test("api names what is wrong with a request", async () => {
    const url = await start("api");
    expect(await send(url, "POST", "/tasks", { title: "", colour: 1 })).toMatchObject({
      status: 400,
      body: { error: { code: "invalid", issues: [{ field: "title" }, { field: "json" }] } },
    });
    expect((await send(url, "GET", "/tasks?limit=101")).body).toMatchObject({
      error: { code: "invalid", issues: [{ field: "limit" }] },
    });
    expect(await send(url, "PATCH", "/tasks/none", {})).toMatchObject({ status: 400 });
    expect(await send(url, "GET", "/nowhere")).toMatchObject({
      status: 404,
      body: { error: { code: "no_route", message: "There is no GET /nowhere." } },
    });
    const broken = await fetch(new URL("/tasks", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{",
    });
    expect(broken.status).toBe(400);
    expect(await broken.json()).toMatchObject({ error: { code: "bad_request" } });
  });
});

async function builtModules(example: string): Promise<ExampleModule[]> {
  const text = await readFile(join(directory, "built", example, "modules.json"), "utf8");
  return JSON.parse(text) as ExampleModule[];
}

/** Everything of wrangler's output directory that is uploaded; the main module first. */
async function wranglerModules(example: string): Promise<ExampleModule[]> {
  const files = await readdir(join(directory, "wrangler", example));
  return files
    .filter((file) => file.endsWith(".js") || file.endsWith(".wasm"))
    .sort((a, b) => Number(b === "index.js") - Number(a === "index.js"))
    .map((file) =>
      file.endsWith(".wasm")
        ? { name: `./${file}`, type: "application/wasm", file }
        : { name: file, type: "application/javascript+module", file },
    );
}

/** Both bundlers put a hash of the content before the name, each its own. */
function withoutHash({ name, type }: ExampleModule): string {
  return `${type} ${name.replace(/^\.\/[0-9A-Za-z]+-/, "./<hash>-")}`;
}

async function send(
  url: URL,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(new URL(path, url), {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

function event<T extends Event>(socket: WebSocket, name: string): Promise<T> {
  return new Promise((resolve, reject) => {
    socket.addEventListener(name, (happened) => resolve(happened as T), { once: true });
    socket.addEventListener("error", () => reject(new Error(`no ${name}: the socket failed`)), {
      once: true,
    });
  });
}
