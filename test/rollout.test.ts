// Rollouts on a real platform under load: who is served by what, and what becomes of it when the hub dies.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";
import { skep } from "./skep.ts";
import { createProject } from "./wrangler.ts";

const OLD = `export default { fetch: () => new Response("old") };`;
const NEW = OLD.replace("old", "new");
/** One of twenty requests throws. */
const FAILING = `let n = 0;
export default { fetch() { if (n++ % 20 === 10) throw new Error("broken"); return new Response("new"); } };`;

const CLIENTS = 8;
/** Between two requests of a client: well under what two cores can do, with all that runs beside. */
const PAUSE_MS = 40;

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
}, 60_000);
afterAll(() => platform.stop());

/** Calls a function over and over until `stop`; counts the answers by what they say. */
function load(script: string) {
  const answers: Record<string, number> = { old: 0, new: 0, failed: 0 };
  let isRunning = true;
  const client = async () => {
    while (isRunning) {
      const response = await platform.fetch(script, "/");
      const text = await response.text();
      const key = response.status === 200 ? text : "failed";
      answers[key] = (answers[key] ?? 0) + 1;
      await delay(PAUSE_MS);
    }
  };
  const clients = Array.from({ length: CLIENTS }, client);
  const stop = async () => {
    isRunning = false;
    await Promise.all(clients);
    return answers;
  };
  return { answers, stop };
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await reached())) await delay(50);
}

async function moduleFile(source: string): Promise<string> {
  return join(await createProject({ "index.mjs": source }), "index.mjs");
}

function deployCanary(file: string, options: string) {
  return skep(platform, ["deploy", file, "--namespace", "production", ...options.split(" ")]);
}

async function decisions(script: string): Promise<string[]> {
  const path = `/workers/dispatch/namespaces/production/scripts/${script}/rollout`;
  const response = await platform.api("GET", path);
  const { result } = (await response.json()) as { result: { decisions: { action: string }[] } };
  return result.decisions.map(({ action }) => action);
}

describe("a canary", { timeout: 180_000 }, () => {
  it("whose new version throws is taken back while at least 95 % of requests are good", async () => {
    await platform.deploy("throws", OLD);
    const file = await moduleFile(FAILING);
    const traffic = load("throws");
    await until(() => (traffic.answers["old"] ?? 0) > 50);
    const started = await deployCanary(
      file,
      "--name throws --canary 25% --abort-on error_rate>1% --interval 10m",
    );
    expect(started.output).toContain("running at 25 %, then 50, 100 %");
    const waited = await skep(platform, ["rollout", "wait", "production/throws"]);
    expect(waited).toMatchObject({ exitCode: 1 });
    expect(waited.output).toContain("rolled-back");
    expect(waited.output).toMatch(/error_rate [\d.]+ % \(old version 0 %, limit 1 %\)/);
    const { failed = 0, ...good } = await traffic.stop();
    const served = (good["old"] ?? 0) + (good["new"] ?? 0);
    expect(good["new"]).toBeGreaterThan(20);
    expect(served / (served + failed)).toBeGreaterThan(0.95);

    const after = load("throws");
    await until(() => (after.answers["old"] ?? 0) > 100);
    expect(await after.stop()).toMatchObject({ new: 0, failed: 0 });
  });

  it("that is sound gets all traffic, without whoever started it, and though the hub is killed", async () => {
    await platform.deploy("sound", OLD);
    const file = await moduleFile(NEW);
    const traffic = load("sound");
    const started = await deployCanary(
      file,
      "--name sound --canary 20% --steps 60 --interval 4s --min-requests 40 --abort-on error_rate>1%,p99>2s",
    );
    expect(started).toMatchObject({ exitCode: 0 });
    await until(() => (traffic.answers["new"] ?? 0) > 10);
    await platform.kill("hub");
    const waited = await skep(platform, ["rollout", "wait", "production/sound"]);
    expect(waited.output).toContain("promoted");
    const answers = await traffic.stop();
    expect(answers["failed"]).toBe(0);
    expect(answers["old"]).toBeGreaterThan(40);
    expect(await decisions("sound")).toEqual(["started", "advanced", "promoted"]);

    const after = load("sound");
    await until(() => (after.answers["new"] ?? 0) > 100);
    expect(await after.stop()).toMatchObject({ old: 0, failed: 0 });
  });
});

describe("the skep command", { timeout: 120_000 }, () => {
  const CONFIG = `name = "project"\nmain = "index.mjs"\ncompatibility_date = "2026-11-01"\n[vars]\nMOOD = "fine"\n`;
  const inProduction = ["--namespace", "production"];
  const ask = async () => (await platform.fetch("project", "/")).text();

  it("deploys a wrangler project into a namespace, and brings the version before back", async () => {
    const source = (text: string) =>
      `export default { fetch: (request, env) => new Response("${text} " + env.MOOD + " " + env.KEY) };`;
    const directory = await createProject({ "wrangler.toml": CONFIG, "index.mjs": source("one") });
    expect(await skep(platform, ["deploy", directory, ...inProduction])).toMatchObject({
      exitCode: 0,
    });
    const put = await skep(platform, ["secret", "put", "production/project", "KEY"], "s3cret\n");
    expect(put).toMatchObject({ exitCode: 0, output: "production/project: KEY is set\n" });
    expect(await ask()).toBe("one fine s3cret");
    const listed = await skep(platform, ["secret", "list", "production/project"]);
    expect(listed.output).toBe("KEY\n");

    await writeFile(join(directory, "index.mjs"), source("two"));
    const canary = ["--canary", "50%", "--interval", "1h"];
    const rolled = await skep(platform, ["deploy", directory, ...inProduction, ...canary]);
    expect(rolled).toMatchObject({ exitCode: 0 });
    expect(rolled.output).toContain("production/project: ");
    const versions = await skep(platform, ["versions", "production/project"]);
    expect(versions.output.match(/ 50 %/g)).toHaveLength(2);
    const promoted = await skep(platform, ["rollout", "promote", "production/project"]);
    expect(promoted.output).toContain("promoted");
    expect(await ask()).toBe("two fine s3cret");

    const back = await skep(platform, ["rollback", "production/project"]);
    expect(back).toMatchObject({ exitCode: 0 });
    expect(await ask()).toBe("one fine s3cret");
    const history = await skep(platform, ["deployments", "production/project"]);
    expect(history.output).toContain("rollout promoted: 100 %");
    expect(history.output).toContain("Rollback to ");
  });

  it("does the same for a Worker outside of namespaces", async () => {
    const directory = await createProject({
      "wrangler.toml": CONFIG.replace("project", "outside"),
      "index.mjs": OLD,
    });
    expect(await skep(platform, ["deploy", directory])).toMatchObject({ exitCode: 0 });
    const bulk = await skep(platform, ["secret", "bulk", "outside"], `{ "A": "1", "B": "2" }`);
    expect(bulk.output).toBe("outside: 2 secrets are changed\n");
    await writeFile(join(directory, "index.mjs"), NEW);
    const rolled = await skep(platform, ["deploy", directory, "--canary", "10%"]);
    expect(rolled.output).toContain("running at 10 %, then 25, 50, 100 %");
    const aborted = await skep(platform, ["rollout", "abort", "outside"]);
    expect(aborted.output).toContain("aborted");
    const versions = await skep(platform, ["versions", "outside"]);
    expect(versions.output).toContain("100 %");

    const [newest = ""] = /[0-9a-f]{8}-[0-9a-f-]+/.exec(versions.output) ?? [];
    const start = ["rollout", "start", "outside", newest.slice(0, 8), "--canary", "10%"];
    expect(await skep(platform, start)).toMatchObject({ exitCode: 0 });
    const second = await skep(platform, ["deploy", directory, "--canary", "10%"]);
    expect(second.exitCode).toBe(1);
    expect(second.output).toContain("promote or abort it first");
    expect(second.output).toMatch(/is uploaded and gets no traffic; "skep rollout start outside /);
    const deployed = await skep(platform, ["deploy", directory]);
    expect(deployed.output).toContain("The rollout of outside that was under way has ended.");
    const status = await skep(platform, ["rollout", "status", "outside"]);
    expect(status.output).toContain("superseded");
  });

  it("says what is wrong", async () => {
    const empty = await createProject({ "readme.txt": "" });
    const cases: [string[], string][] = [
      [["deploy", empty], "has no wrangler.toml"],
      [["deploy", join(empty, "absent.js")], "cannot be read"],
      [["deploy", empty, "--steps", "50"], "--steps: needs --canary"],
      [["deploy", empty, "--canary", "some"], "expected percentages such as 10%"],
      [["rollout", "status", "production/absent"], "There is no script named 'absent'"],
      [["versions", "a/b/c"], "expected NAMESPACE/SCRIPT"],
      [["rollback", "production/project", "zzz"], `no version begins with "zzz"`],
      [["secret", "put", "production/project", "KEY", "value"], "from standard input or a prompt"],
      [["secret", "put", "production/project", "KEY"], "the value is empty"],
    ];
    for (const [args, message] of cases) {
      const { exitCode, output } = await skep(platform, args);
      expect(output).toContain(message);
      expect(exitCode).not.toBe(0);
    }
  });
});
