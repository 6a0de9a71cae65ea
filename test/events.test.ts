/**
 * What wakes functions beside requests, on a real platform: Cron Triggers and invocations by the API, how they are tried
 * again, and what a kill of the store does to them. Since all wait, most of all for minutes to begin, they wait at once: on
 * one platform, and what kills on one of its own.
 */
import { afterAll, beforeAll, describe, test } from "vitest";
import { startPlatform, uploadForm, type Platform } from "./platform.ts";
import { skep } from "./skep.ts";
import { createProject, wrangler } from "./wrangler.ts";

let platform: Platform;
/** Its store is killed. */
let killed: Platform;

beforeAll(async () => {
  [platform, killed] = await Promise.all([startPlatform(), startPlatform()]);
});

afterAll(async () => {
  await Promise.all([platform.stop(), killed.stop()]);
});

const scriptPath = (name: string) => `/workers/dispatch/namespaces/production/scripts/${name}`;

interface Run {
  readonly cron: string;
  readonly state: string;
  readonly outcome: string | null;
  readonly attempts: number;
  readonly error: string | null;
  readonly late: boolean;
  readonly missed_since: string | null;
  readonly scheduled_time: string;
  readonly started_on: string | null;
}

interface Invocation {
  readonly id: string;
  readonly status: string;
  readonly attempts: number;
  readonly outcome: string | null;
  readonly error: string | null;
  readonly destination: { readonly status: string; readonly error: string | null } | null;
  readonly response: { readonly status: number; readonly body: string } | null;
}

async function api<Result>(
  method: string,
  path: string,
  body?: object | string,
  headers: Record<string, string> = {},
  of = platform,
): Promise<{ status: number; result: Result }> {
  const {
    CLOUDFLARE_API_BASE_URL: base,
    CLOUDFLARE_ACCOUNT_ID: account,
    CLOUDFLARE_API_TOKEN: token,
  } = of.wranglerEnv;
  const response = await fetch(`${base}/accounts/${account}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const answer = (await response.json()) as { result: Result; errors: { message: string }[] };
  if (response.status >= 400) throw new Error(answer.errors[0]?.message);
  return { status: response.status, result: answer.result };
}

async function runs(path: string, of = platform): Promise<readonly Run[]> {
  const { result } = await api<{ runs: Run[] }>("GET", `${path}/schedules/runs`, undefined, {}, of);
  return result.runs;
}

async function invoke(
  name: string,
  headers: Record<string, string> = {},
  body = "",
  of = platform,
) {
  const path = `${scriptPath(name)}/invocations`;
  return (await api<Invocation>("POST", path, body, headers, of)).result;
}

async function invocation(name: string, id: string, of = platform): Promise<Invocation> {
  const path = `${scriptPath(name)}/invocations/${id}`;
  return (await api<Invocation>("GET", path, undefined, {}, of)).result;
}

const event = { "invocation-type": "Event" };
const MINUTES = { timeout: 150_000, interval: 500 };

describe("Cron Triggers", { concurrent: true }, () => {
  test("of a wrangler configuration are set by `skep deploy` for a namespace, too", async ({
    expect,
  }) => {
    const config = (crons: string) =>
      `name = "kept"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n${crons}`;
    const deploy = async (crons: string, ...args: string[]) => {
      const directory = await createProject({
        "wrangler.toml": config(crons),
        "index.js": `export default { scheduled() {}, fetch: () => new Response() };`,
      });
      return skep(platform, ["deploy", directory, "--namespace", "production", ...args]);
    };
    const crons = async (name = "kept") => {
      const path = `${scriptPath(name)}/schedules`;
      const { result } = await api<{ schedules: { cron: string }[] }>("GET", path);
      return result.schedules.map(({ cron }) => cron);
    };
    const first = await deploy(`[triggers]\ncrons = ["0 3 * * *", "30 3 * * *"]\n`);
    expect(first.exitCode, first.output).toBe(0);
    expect(first.output).toContain("production/kept: 0 3 * * *");
    expect(await crons()).toEqual(["0 3 * * *", "30 3 * * *"]);
    const own = `[env.staging.triggers]\ncrons = ["0 4 * * *"]\n`;
    expect((await deploy(own, "--env", "staging")).exitCode).toBe(0);
    expect(await crons("kept-staging")).toEqual(["0 4 * * *"]);
    const bad = await deploy(`[triggers]\ncrons = ["61 * * * *"]\n`);
    expect(bad.exitCode).toBe(1);
    expect(bad.output).toContain("61 * * * *");
    expect(bad.output).toContain("skep schedules set production/kept");
    const canary = await deploy(`[triggers]\ncrons = ["0 5 * * *"]\n`, "--canary", "10%");
    expect(canary.output).toContain("skep schedules set production/kept '0 5 * * *'");
    expect(await crons()).toHaveLength(2);
  }, 240_000);

  test("run every minute what they are set for, in user Workers and those of wrangler", async ({
    expect,
  }) => {
    const minutely = uploadForm(
      `export default {
        scheduled(controller) {
          if (controller.cron === "*/1 * * * *") throw new Error("wrong");
          if (controller.cron === "0/1 * * * *") { controller.noRetry(); throw new Error("never again"); }
          if (controller.scheduledTime % 60000 !== 0) throw new Error("not at a minute");
        },
      };`,
      { observability: { enabled: true } },
    );
    await platform.deploy("minutely", minutely);
    await platform.deploy("fetch-only", `export default { fetch: () => new Response() };`);
    const crons = [{ cron: "* * * * *" }, { cron: "*/1 * * * *" }, { cron: "0/1 * * * *" }];
    await api("PUT", `${scriptPath("minutely")}/schedules`, crons);
    await api("PUT", `${scriptPath("fetch-only")}/schedules`, crons.slice(0, 1));
    const directory = await createProject({
      "wrangler.toml": `name = "timed"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n[triggers]\ncrons = ["* * * * *"]\n`,
      "index.js": `export default { scheduled() {} };`,
    });
    const deployed = await wrangler(directory, platform.wranglerEnv, "deploy");
    expect(deployed.exitCode, deployed.output).toBe(0);
    expect(deployed.output).toContain("schedule: * * * * *");

    const first = async (path: string, cron: string) =>
      (await runs(path)).filter((run) => run.cron === cron).at(-1);
    const { poll } = expect;
    const ok = { state: "ended", outcome: "ok", attempts: 1, late: false, missed_since: null };
    await poll(() => first(scriptPath("minutely"), "* * * * *"), MINUTES).toMatchObject(ok);
    await poll(() => first("/workers/scripts/timed", "* * * * *"), MINUTES).toMatchObject(ok);
    const { scheduled_time: at = "" } = (await first(scriptPath("minutely"), "* * * * *")) ?? {};
    const logs = async () =>
      (await api<{ events: object[] }>("GET", `${scriptPath("minutely")}/logs`)).result.events;
    const handled = { cron: "* * * * *", scheduledTime: Date.parse(at) };
    await poll(logs, MINUTES).toContainEqual(
      expect.objectContaining({ outcome: "ok", event: handled }),
    );
    await poll(() => first(scriptPath("minutely"), "0/1 * * * *"), MINUTES).toMatchObject({
      state: "ended",
      outcome: "exception",
      attempts: 1,
    });
    await poll(() => first(scriptPath("fetch-only"), "* * * * *"), MINUTES).toMatchObject({
      state: "ended",
      attempts: 0,
      error: expect.stringContaining("exports no scheduled() handler"),
    });
    // Tried again after half a minute.
    await poll(() => first(scriptPath("minutely"), "*/1 * * * *"), MINUTES).toMatchObject({
      state: expect.stringMatching("waiting|running|ended"),
      attempts: expect.toSatisfy((attempts: number) => attempts >= 2),
      outcome: "exception",
    });
    await api("PUT", `${scriptPath("minutely")}/schedules`, []);
    expect((await runs(scriptPath("minutely"))).every(({ state }) => state !== "waiting")).toBe(
      true,
    );
  }, 200_000);
});

describe("invocations", { concurrent: true }, () => {
  /** Fails as often as the payload says, then answers. */
  const flaky = () => `
    export default { async fetch(request) {
      const { name, fails } = await request.json();
      const attempt = Number(request.headers.get("skep-invocation-attempt"));
      if (attempt <= fails) {
        if (fails % 2 === 1) throw new Error("call " + attempt);
        return new Response("no", { status: 503 });
      }
      return new Response("done " + name + " at " + attempt + " by " + request.method, { status: 201 });
    } };`;

  test("are answered at once, or tried until they succeed", async ({ expect }) => {
    await platform.deploy("flaky", flaky());
    await api("PUT", `${scriptPath("flaky")}/invocations/config`, { retry_delay_seconds: 1 });
    const now = await invoke("flaky", {}, JSON.stringify({ name: "a", fails: 0 }));
    expect(now).toMatchObject({
      status: "succeeded",
      attempts: 1,
      response: { status: 201, body: "done a at 1 by POST" },
    });
    const once = await invoke("flaky", {}, JSON.stringify({ name: "a", fails: 1 }));
    expect(once).toMatchObject({ status: "failed", outcome: "exception", error: "call 1" });
    for (const fails of [1, 2]) {
      const { id } = await invoke("flaky", event, JSON.stringify({ name: "b", fails }));
      await expect
        .poll(() => invocation("flaky", id), MINUTES)
        .toMatchObject({
          status: "succeeded",
          attempts: fails + 1,
          response: { body: `done b at ${fails + 1} by POST` },
        });
    }
    const { id } = await invoke("flaky", event, JSON.stringify({ name: "c", fails: 9 }));
    await expect
      .poll(() => invocation("flaky", id), MINUTES)
      .toMatchObject({
        status: "failed",
        attempts: 3,
        error: "call 3",
      });
  }, 60_000);

  test("get an object of a bucket as their payload", async ({ expect }) => {
    await platform.deploy(
      "payee",
      `export default { async fetch(request) {
        const type = request.headers.get("content-type");
        const { length } = await request.text();
        return new Response([request.method, type, length].join(" "));
      } };`,
    );
    await api("POST", "/r2/buckets", { name: "orders" });
    const put = (key: string, length: number) =>
      api("PUT", `/r2/buckets/orders/objects/${key}`, "x".repeat(length), {
        "content-type": "text/order",
      });
    const key = "2026/%C3%BC%20one.json";
    await put(key, 200_000);
    const of = (object: string) => ({ "invocation-payload": `r2://orders/${object}` });
    expect(await invoke("payee", of(key))).toMatchObject({
      status: "succeeded",
      response: { status: 200, body: "POST text/order 200000" },
    });
    // It is read when the function is called: until it is there, an event waits.
    const { id } = await invoke("payee", { ...of("later"), ...event });
    const { poll } = expect;
    await poll(() => invocation("payee", id), MINUTES).toMatchObject({
      status: "waiting",
      error:
        'the payload, object "later" of R2 bucket "orders", could not be read: The specified key does not exist.',
    });
    await put("later", 7);
    await poll(() => invocation("payee", id), MINUTES).toMatchObject({
      status: "succeeded",
      response: { body: "POST text/order 7" },
    });
    await put("large", 256 * 1024 + 1);
    expect(await invoke("payee", of("large"))).toMatchObject({
      status: "failed",
      error: expect.stringContaining("is larger than the 262144 bytes"),
      response: null,
    });
  }, 60_000);

  test("tell their destinations: a function or a URL, also of what waits for a function that goes", async ({
    expect,
  }) => {
    await platform.deploy(
      "told",
      `
      const told = [];
      export default { async fetch(request) {
        if (request.method === "POST") told.push({ url: request.url, body: await request.json() });
        return Response.json(told);
      } };`,
    );
    const told = async () =>
      (await (await platform.fetch("told", "/")).json()) as { url: string; body: object }[];
    const url = "http://told.production.localhost";
    await platform.deploy("teller", flaky());
    await api("PUT", `${scriptPath("teller")}/invocations/config`, {
      max_attempts: 1,
      on_success: { type: "function", script: "told" },
      on_failure: { type: "url", url: `${url}/failed` },
    });
    const good = await invoke("teller", event, JSON.stringify({ name: "g", fails: 0 }));
    const bad = await invoke("teller", event, JSON.stringify({ name: "b", fails: 1 }));
    for (const { id } of [good, bad]) {
      await expect
        .poll(() => invocation("teller", id), MINUTES)
        .toMatchObject({
          destination: { status: "delivered", error: null },
        });
    }
    const all = await told();
    expect(all).toContainEqual({
      url: "http://invocation/",
      body: expect.objectContaining({ invocation_id: good.id, status: "succeeded" }),
    });
    expect(all).toContainEqual({
      url: `${url}/failed`,
      body: expect.objectContaining({
        invocation_id: bad.id,
        script: "teller",
        status: "failed",
        attempts: 1,
        error: "call 1",
        request: {
          content_type: expect.any(String),
          r2: null,
          payload: btoa(JSON.stringify({ name: "b", fails: 1 })),
        },
      }),
    });
    await platform.deploy("doomed", `export default { fetch() { throw new Error("later"); } };`);
    await api("PUT", `${scriptPath("doomed")}/invocations/config`, {
      on_failure: { type: "url", url: `${url}/deleted` },
      retry_delay_seconds: 900,
    });
    const { id } = await invoke("doomed", event);
    await expect.poll(() => invocation("doomed", id), MINUTES).toMatchObject({ attempts: 1 });
    await platform.api("DELETE", scriptPath("doomed"));
    await expect.poll(told, MINUTES).toContainEqual({
      url: `${url}/deleted`,
      body: expect.objectContaining({ invocation_id: id, error: "the function was deleted" }),
    });
  }, 60_000);

  test("are made and shown by skep, and counted by kind", async ({ expect }) => {
    await platform.deploy("told-by-skep", flaky());
    const payload = JSON.stringify({ name: "cli", fails: 0 });
    const name = "production/told-by-skep";
    const now = await platform.skep("invoke", name, "--payload", payload);
    expect(now.stdout).toBe("done cli at 1 by POST");
    const dry = await platform.skep("invoke", name, "--dry-run");
    expect(dry.stdout).toMatch(/^production\/told-by-skep: [0-9a-f-]{36} would be called\n$/);
    const stored = await platform.skep(
      "invoke",
      name,
      "--event",
      "--key",
      "k",
      "--payload",
      payload,
    );
    const id = stored.stdout.trim();
    const again = await platform.skep(
      "invoke",
      name,
      "--event",
      "--key",
      "k",
      "--payload",
      "other",
    );
    expect(again.stdout.trim()).toBe(id);
    await expect
      .poll(async () => (await platform.skep("invocations", name, id)).stdout, MINUTES)
      .toContain("response 201:\ndone cli at 1 by POST\n");
    expect((await platform.skep("invocations", name)).stdout).toMatch(
      /RequestResponse {2}succeeded {2}1\n.*Event {12}succeeded {2}1\n$/,
    );
    const failing = JSON.stringify({ name: "cli", fails: 1 });
    await expect(platform.skep("invoke", name, "--payload", failing)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("failed  1  call 1"),
    });
    await platform.skep("schedules", "set", name, "0 17 * * sun");
    expect((await platform.skep("schedules", "list", name)).stdout).toMatch(
      /^20\d\d-\d\d-\d\dT17:00:00.000Z {2}0 17 \* \* sun {2}next\n$/,
    );
    await platform.fetch("told-by-skep", "/", { method: "POST", body: payload });
    interface Metrics {
      readonly summary: { readonly requests: number };
      readonly kinds: readonly { readonly kind: string; readonly requests: number }[];
    }
    const metrics = async () =>
      (await api<Metrics>("GET", `${scriptPath("told-by-skep")}/metrics`)).result;
    await expect.poll(metrics, MINUTES).toMatchObject({
      summary: { requests: 4 },
      kinds: [
        { kind: "invocation", requests: 3, errors: 1 },
        { kind: "fetch", requests: 1 },
      ],
    });
  }, 60_000);
});

describe("when the store is killed", { concurrent: true }, () => {
  test.sequential("a run that was under way when the store was killed is run again", async ({
    expect,
  }) => {
    await killed.deploy(
      "slow",
      `export default { async scheduled() { await scheduler.wait(6000); } };`,
    );
    await api("PUT", `${scriptPath("slow")}/schedules`, [{ cron: "* * * * *" }], {}, killed);
    const oldest = async () => (await runs(scriptPath("slow"), killed)).at(-1);
    await expect.poll(oldest, MINUTES).toMatchObject({ state: "running", attempts: 0 });
    const at = (await oldest())?.scheduled_time;
    await killed.kill("store");
    const ended = async () =>
      (await runs(scriptPath("slow"), killed).catch(() => [])).find(
        (run) => run.scheduled_time === at,
      );
    await expect.poll(ended, MINUTES).toMatchObject({ state: "ended", outcome: "ok", attempts: 1 });
    await api("PUT", `${scriptPath("slow")}/schedules`, [], {}, killed);
  }, 200_000);

  test.sequential("no invocation that was taken is lost when the store is killed", async ({
    expect,
  }) => {
    await killed.deploy(
      "counted",
      `export default { async fetch(request) {
      await scheduler.wait(300);
      return new Response(await request.text());
    } };`,
    );
    const taken: string[] = [];
    let isOver = false;
    const sender = async (name: string) => {
      for (let n = 0; !isOver; n++) {
        const body = `${name}-${n}`;
        const headers = { ...event, "idempotency-key": body };
        const { id } = await invoke("counted", headers, body, killed).catch(() => ({ id: "" }));
        if (id !== "") taken.push(id);
      }
    };
    const senders = ["a", "b", "c"].map(sender);
    for (let kills = 0; kills < 3; kills++) {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await killed.kill("store");
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    isOver = true;
    await Promise.all(senders);
    expect(taken.length).toBeGreaterThan(20);
    const states = async () => {
      const all = await Promise.all(taken.map((id) => invocation("counted", id, killed)));
      return [...new Set(all.map(({ status }) => status))];
    };
    await expect.poll(states, { timeout: 150_000, interval: 3_000 }).toEqual(["succeeded"]);
  }, 200_000);
});
