/**
 * Secrets on the real platform: functions get them by every way there is, are tailed and logged, crash, the hub is
 * killed, keys are replaced; then everything that the platform wrote, printed and answered is searched for them.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";
import { createProject, startWrangler, wrangler } from "./wrangler.ts";

const CLI = join(import.meta.dirname, "../dist/cli.js");
const run = promisify(execFile);

async function start(): Promise<Platform> {
  const platform = await startPlatform();
  onTestFinished(async () => void (await platform.stop()));
  return platform;
}

function skep(platform: Platform, ...args: string[]) {
  return run(process.execPath, [CLI, ...args, "--data", platform.data]);
}

/** With characters that other encodings change. */
function canary(): string {
  return `canary ${randomBytes(12).toString("hex")}/+&="ü`;
}

/** Each way in which `secret` might be written, wherever in a longer text it begins. */
function encodings(secret: string): Buffer[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].flatMap((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64");
    // Without what depends on the neighbours.
    const inner = text.slice(Math.ceil((shift * 4) / 3), -4);
    return [inner, inner.replaceAll("+", "-").replaceAll("/", "_")];
  });
  const hex = bytes.toString("hex");
  const texts = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    hex,
    hex.toUpperCase(),
    encodeURIComponent(secret),
    new URLSearchParams({ s: secret }).toString().slice(2),
    ...base64,
  ];
  return [...texts.map((text) => Buffer.from(text)), Buffer.from(secret, "utf16le")];
}

async function filesOf(directory: string): Promise<{ path: string; content: Buffer }[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(paths.map(async (path) => ({ path, content: await readFile(path) })));
}

const FUNCTION = `export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    console.log("called", pathname);
    if (pathname === "/throw") throw new Error("boom");
    if (pathname === "/loop") for (;;);
    const { name } = await request.json();
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(env[name]));
    return new Response(new Uint8Array(digest).toHex());
  },
};`;

async function digestOf(secret: string): Promise<string> {
  return Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(secret))).toString("hex");
}

/** What a function finds under a name, without its showing it. */
async function seen(platform: Platform, script: string, name: string): Promise<string> {
  const body = JSON.stringify({ name });
  return (await platform.fetch(script, "/", { method: "POST", body })).text();
}

function uploadWith(secrets: Readonly<Record<string, string>>): FormData {
  const form = new FormData();
  const bindings = Object.entries(secrets).map(([name, text]) => {
    return { type: "secret_text", name, text };
  });
  const metadata = {
    main_module: "index.js",
    compatibility_date: "2026-11-01",
    observability: { enabled: true },
    bindings,
  };
  form.set("metadata", JSON.stringify(metadata));
  const type = "application/javascript+module";
  form.set("index.js", new File([FUNCTION], "index.js", { type }));
  return form;
}

/** A command that goes on, and what it has printed. */
interface Tail {
  readonly child: ChildProcess;
  readonly output: () => string;
}

function tailed(start: (onOutput: (text: string) => void) => ChildProcess): Tail {
  let output = "";
  const child = start((text) => (output += text));
  onTestFinished(() => void child.kill());
  return { child, output: () => output };
}

function skepTail(platform: Platform, ...args: string[]): Tail {
  return tailed((onOutput) => {
    const child = spawn(process.execPath, [CLI, "tail", ...args, "--data", platform.data]);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (text) => onOutput(String(text)));
    }
    return child;
  });
}

async function ended({ child, output }: Tail): Promise<string> {
  const gone = once(child, "exit");
  child.kill("SIGINT");
  await gone;
  return output();
}

const scriptPath = (script: string) => `/workers/dispatch/namespaces/production/scripts/${script}`;
const keysOf = async (platform: Platform) =>
  (await readFile(join(platform.data, "secret.key"), "utf8")).trim().split("\n");

describe("secrets", { timeout: 180_000 }, () => {
  test("are found nowhere: not on disk, not in output, not in answers", async () => {
    const platform = await start();
    const secrets = {
      META: canary(),
      PUT: canary(),
      BULK: canary(),
      FILE: canary(),
      OWN: canary(),
    };
    const printed: string[] = [];
    const api = async (...call: Parameters<Platform["api"]>) => {
      const response = await platform.api(...call);
      printed.push(JSON.stringify([...response.headers]), await response.clone().text());
      return response;
    };

    const path = scriptPath("holder");
    expect((await api("PUT", path, uploadWith({ META: secrets.META }))).status).toBe(200);
    const put = { name: "PUT", text: secrets.PUT, type: "secret_text" };
    expect((await api("PUT", `${path}/secrets`, put)).status).toBe(200);
    const bulk = { secrets: { BULK: { name: "BULK", text: secrets.BULK, type: "secret_text" } } };
    expect((await api("PATCH", `${path}/secrets-bulk`, bulk)).status).toBe(200);
    // Refused ones are not repeated, either.
    const wrong = { name: "X", text: secrets.PUT, type: "secret_key" };
    expect((await api("PUT", `${path}/secrets`, wrong)).status).toBe(400);
    await api("PUT", path, uploadWith({ "": secrets.META }));

    const created = await skep(platform, "token", "create", "--name", "ci", ...LIMITED);
    const token = created.stdout.trim();
    const project = await createProject({
      "wrangler.toml": [
        'name = "filed"',
        'main = "index.js"',
        'compatibility_date = "2026-11-01"',
        "[observability]",
        "enabled = true",
      ].join("\n"),
      "index.js": FUNCTION,
      "secrets.json": JSON.stringify({ FILE: secrets.FILE }),
      "own.json": JSON.stringify({ OWN: secrets.OWN }),
    });
    const env = { ...platform.wranglerEnv, CLOUDFLARE_API_TOKEN: token };
    const deploy = ["deploy", "--dispatch-namespace", "production"];
    const deployed = await wrangler(project, env, ...deploy, "--secrets-file", "secrets.json");
    expect(deployed.exitCode, deployed.output).toBe(0);
    // The same outside of a namespace.
    const own = await wrangler(project, env, "deploy");
    expect(own.exitCode, own.output).toBe(0);
    const bulked = await wrangler(project, env, "secret", "bulk", "own.json");
    expect(bulked.exitCode, bulked.output).toBe(0);
    const refused = await wrangler(project, env, "deploy", "--dispatch-namespace", "elsewhere");
    expect(refused.exitCode, refused.output).not.toBe(0);
    const whoami = await wrangler(project, env, "whoami");
    expect(whoami.output).toContain(platform.wranglerEnv.CLOUDFLARE_ACCOUNT_ID);
    for (const { output } of [deployed, own, bulked, refused, whoami]) printed.push(output);
    printed.push(created.stderr);

    const check = async () => {
      for (const [name, secret] of Object.entries(secrets)) {
        const script = name === "FILE" ? "filed" : "holder";
        if (name === "OWN") continue;
        expect(await seen(platform, script, name), name).toBe(await digestOf(secret));
      }
      const body = JSON.stringify({ name: "OWN" });
      const answer = await platform.fetchHost("filed.workers.localhost", "/", {
        method: "POST",
        body,
      });
      expect(await answer.text()).toBe(await digestOf(secrets.OWN));
    };
    const tail = ["tail", "filed", "--format", "pretty"];
    const tails = [
      tailed((onOutput) => startWrangler(project, env, (line) => onOutput(`${line}\n`), ...tail)),
      skepTail(platform, "/filed", "--format", "json"),
      skepTail(platform, "production"),
    ];
    const allShow = async (...texts: string[]) => {
      for (const [index, { output }] of tails.entries()) {
        await expect.poll(output, { timeout: 30_000 }).toContain(texts[index] ?? texts[0]);
      }
    };
    await allShow("Connected to filed", "Ctrl-C ends it", "Ctrl-C ends it");
    await check();
    // What a caller sends is told of without what it proves itself by.
    const callers = [0, 1, 2].map(() => randomBytes(24).toString("hex"));
    const headers = { authorization: `Bearer ${callers[0]}`, cookie: `session=${callers[1]}` };
    const query = `?token=${callers[2]}`;
    const thrown = await platform.fetch("holder", `/throw${query}`, { headers });
    const ownThrown = await platform.fetchHost("filed.workers.localhost", `/throw${query}`, {
      headers,
    });
    expect([thrown.status, ownThrown.status]).toEqual([500, 500]);
    await allShow("boom");
    await allShow("called");
    // The platform itself tells of what was killed.
    await (await platform.fetch("holder", `/loop${query}`, { headers })).text();
    await expect.poll(() => tails[2]?.output(), { timeout: 30_000 }).toContain("GET /loop");
    printed.push(...(await Promise.all(tails.map(ended))));
    for (const target of ["production/holder", "/filed"]) {
      const path = target === "/filed" ? "/workers/scripts/filed" : scriptPath("holder");
      const { result } = (await (await api("GET", `${path}/logs`)).json()) as LogsAnswer;
      expect(JSON.stringify(result.events)).toContain("boom");
      await api("GET", `${path}/tails`);
      const searched = await skep(platform, "logs", target, "--grep", "boom");
      expect(searched.stdout).toContain("boom");
      printed.push(searched.stdout, searched.stderr);
      for (const secret of callers) {
        expect((await skep(platform, "logs", target, "--grep", secret)).stdout).toBe("");
      }
    }
    await platform.kill("hub");
    await platform.kill("edge");
    await expect.poll(() => seen(platform, "filed", "FILE"), { timeout: 30_000 }).toHaveLength(64);
    const [oldKey = ""] = await keysOf(platform);
    const rotated = await skep(platform, "key", "rotate");
    await platform.kill("hub");
    await platform.kill("edge");
    await expect.poll(() => seen(platform, "filed", "FILE"), { timeout: 30_000 }).toHaveLength(64);
    const [newKey = "", ...others] = await keysOf(platform);
    expect([others, newKey === oldKey]).toEqual([[], false]);
    await expect.poll(() => seen(platform, "holder", "META"), { timeout: 60_000 }).toHaveLength(64);
    await check();

    for (const what of ["", "/settings", "/secrets", "/secrets/PUT", "/bindings", "/content"]) {
      expect((await api("GET", path + what)).status, what).toBe(200);
    }
    await api("GET", "/tokens");
    await api("GET", "/audit_logs");
    await api("GET", "/workers/dispatch/namespaces/production/events");
    const audit = await skep(platform, "audit", "--json");
    expect(audit.stdout).toContain('"secret PUT":"***"');
    expect(audit.stdout).toContain('"ip":"127.0.0.1"');
    const listed = await skep(platform, "token", "list");
    expect(listed.stdout).toContain("read,deploy");
    printed.push(rotated.stdout + rotated.stderr, audit.stdout, listed.stdout);

    const running = await filesOf(platform.data);
    await platform.interrupt();
    const stopped = await filesOf(platform.data);
    const haystack = [
      ...running,
      ...stopped,
      { path: "output", content: Buffer.from(platform.output) },
      { path: "answers", content: Buffer.from(printed.join("\n")) },
    ];
    expect(haystack.length).toBeGreaterThan(10);
    const found = (secret: string) =>
      haystack
        .filter(({ content }) => encodings(secret).some((each) => content.includes(each)))
        .map((place) => place.path);
    for (const secret of [...Object.values(secrets), ...callers, token, oldKey])
      expect(found(secret)).toEqual([]);
    // The search finds what is there.
    expect(new Set(found(newKey))).toEqual(new Set([join(platform.data, "secret.key")]));
    expect(found("holder").length).toBeGreaterThan(1);
  });

  test("stay readable when a rotation of keys is killed at any point", async () => {
    const platform = await start();
    const secret = canary();
    await platform.deploy("kept", uploadWith({ KEY: secret }));
    for (const afterMs of [60, 120, 180, 240, 320, 450]) {
      const rotation = execFile(process.execPath, [CLI, "key", "rotate", "--data", platform.data]);
      const gone = new Promise((resolve) => rotation.once("exit", resolve));
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      if (afterMs % 120 === 0) await platform.kill("hub");
      rotation.kill("SIGKILL");
      await gone;
    }
    await platform.kill("supervisor");
    await platform.restart();
    expect(await seen(platform, "kept", "KEY")).toBe(await digestOf(secret));
    await skep(platform, "key", "rotate");
    expect(await keysOf(platform)).toHaveLength(1);
    await platform.interrupt();
    await platform.restart();
    expect(await seen(platform, "kept", "KEY")).toBe(await digestOf(secret));
  });

  test("may be sealed under keys of the environment, and a start without them is refused", async () => {
    const [first, second] = [0, 1].map(() => randomBytes(32).toString("base64"));
    const given = (keys: string | undefined) => {
      if (keys === undefined) delete process.env["SKEP_SECRET_KEY"];
      else process.env["SKEP_SECRET_KEY"] = keys;
    };
    onTestFinished(() => given(undefined));
    given(first);
    const platform = await start();
    const secret = canary();
    await platform.deploy("kept", uploadWith({ KEY: secret }));
    await platform.interrupt();
    given(second);
    await expect(platform.restart()).rejects.toThrow(/sealed under the key [0-9a-f]{8}/);
    given(`${second},${first}`);
    await platform.restart();
    expect((await skep(platform, "key", "rotate")).stdout).toMatch(/^1 secrets are sealed anew/);
    await platform.interrupt();
    given(second);
    await platform.restart();
    expect(await seen(platform, "kept", "KEY")).toBe(await digestOf(secret));
    expect((await filesOf(platform.data)).map(({ path }) => path)).not.toContain(
      join(platform.data, "secret.key"),
    );
  });
});

interface LogsAnswer {
  readonly result: { readonly events: readonly unknown[] };
}

const LIMITED = "--permission read,deploy,tail --namespace production,workers --expires 1d".split(
  " ",
);
