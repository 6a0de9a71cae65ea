/**
 * Workflows on the real platform: deployed through the API and by wrangler, killed in the midst of steps and sleeps, woken,
 * looked at and deleted.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, uploadForm, type Platform } from "../platform.ts";
import { createProject, wrangler } from "../wrangler.ts";

let platform: Platform;
let kv: string;

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "1"] });
  const made = await platform.api("POST", "/storage/kv/namespaces", {
    title: "done",
    dispatch_namespace: "production",
  });
  const { result } = (await made.json()) as { result: { id: string } };
  kv = result.id;
});

afterAll(async () => {
  await platform.stop();
});

/** Whatever runs writes it down, so that it is seen what ran again. */
const SOURCE = `
import { WorkflowEntrypoint } from "cloudflare:workers";
import { NonRetryableError } from "cloudflare:workflows";
const tries = new Map();
export class Order extends WorkflowEntrypoint {
  async run({ payload, instanceId, workflowName }, step) {
    const done = (what) => this.env.DONE?.put(instanceId + "/" + what + "/" + crypto.randomUUID(), "");
    const first = await step.do("first", async () => { await done("first"); return { at: new Date(0), by: workflowName }; });
    if (payload.spin) {
      for (let n = 0; n < payload.spin; n++) {
        await step.do("spin", async () => { const until = Date.now() + 5; let x = 0; while (x < 3e6) x++; return x; });
      }
    }
    if (payload.busy) {
      await step.do("busy", { retries: { limit: 3, delay: "1 second" } }, async () => {
        await done("begun");
        await scheduler.wait(payload.busy);
        await done("ended");
      });
    }
    if (payload.fails) {
      await step.do("fails", { retries: { limit: 2, delay: 50, backoff: "constant" } }, async ({ attempt }) => {
        if (attempt < 3) throw new Error("not yet");
      });
    }
    if (payload.never) await step.do("never", async () => { throw new NonRetryableError("no use"); });
    if (payload.slow) {
      await step.do("slow", { timeout: 100, retries: { limit: 0, delay: 0 } }, () => scheduler.wait(60_000));
    }
    if (payload.sleep) await step.sleep("rest", payload.sleep);
    if (payload.until) await step.sleepUntil("until", new Date(Date.now() + payload.until));
    const event = payload.event && (await step.waitForEvent("asked", { type: "answer", timeout: payload.event }));
    await step.do("last", () => done("last"));
    return { first, answer: event?.payload };
  }
}
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const id = searchParams.get("id");
    const [, call] = pathname.split("/");
    try {
      if (call === "version") return new Response("VERSION");
      if (call === "create") return Response.json((await env.ORDERS.create({ id, params: await request.json() })).id);
      if (call === "batch") return Response.json((await env.ORDERS.createBatch(await request.json())).map(({ id }) => id));
      const instance = await env.ORDERS.get(id);
      if (call === "status") return Response.json(await instance.status());
      if (call === "send") return Response.json((await instance.sendEvent({ type: "answer", payload: await request.json() })) ?? null);
      return Response.json((await instance[call]()) ?? null);
    } catch (error) {
      return new Response(error.name + ": " + error.message, { status: 400 });
    }
  },
};
`;

const BINDING = {
  type: "workflow",
  name: "ORDERS",
  workflow_name: "orders",
  class_name: "Order",
} as const;
const SCRIPTS = "/workers/dispatch/namespaces/production/scripts";

function form(bindings: readonly object[] = [BINDING], source = SOURCE): FormData {
  const done = { type: "kv_namespace", name: "DONE", namespace_id: kv };
  return uploadForm(source, { bindings: [...bindings, done] });
}

async function call(path: string, body?: unknown, script = "shop"): Promise<string> {
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await platform.fetch(script, path, request);
  return response.text();
}

interface Status {
  readonly status: string;
  readonly output: unknown;
  readonly error?: { readonly name: string; readonly message: string };
}
const status = async (id: string) => JSON.parse(await call(`/status?id=${id}`)) as Status;

/** What instances have written down, without asking any of them. */
async function done(id: string): Promise<string[]> {
  const path = `/storage/kv/namespaces/${kv}/keys?prefix=${id}/`;
  const { result } = (await (await platform.api("GET", path)).json()) as {
    result: { name: string }[];
  };
  return result.map(({ name }) => name.split("/")[1] ?? "").sort();
}

async function cells(): Promise<readonly { pid: number }[]> {
  const text = await readFile(join(platform.data, "run/processes.json"), "utf8");
  return (JSON.parse(text) as { cells: { dedicated: readonly { pid: number }[] } }).cells.dedicated;
}

async function killCell(): Promise<void> {
  const [cell] = await cells();
  if (cell === undefined) throw new Error("there is no cell");
  process.kill(cell.pid, "SIGKILL");
}

const patiently = { timeout: 30_000 };

describe("a script with a Workflow", () => {
  test("runs its steps, with retries, timeouts and errors that end it", async () => {
    await platform.deploy("shop", form());
    expect(await call("/create?id=plain", { fails: true })).toBe('"plain"');
    await expect
      .poll(() => status("plain"), patiently)
      .toEqual({
        status: "complete",
        output: { first: { at: "1970-01-01T00:00:00.000Z", by: "orders" } },
      });
    expect(await done("plain")).toEqual(["first", "last"]);
    await call("/create?id=never", { never: true });
    await expect
      .poll(() => status("never"), patiently)
      .toMatchObject({
        status: "errored",
        error: { name: "NonRetryableError", message: "no use" },
      });
    await call("/create?id=slow", { slow: true });
    await expect
      .poll(() => status("slow"), patiently)
      .toMatchObject({
        status: "errored",
        error: { message: "Execution timed out after 100ms" },
      });
    expect(await call("/create?id=plain", {})).toContain("(instance.already_exists)");
    expect(await call("/status?id=absent")).toContain("instance.not_found");
    expect(await call("/batch", [{ id: "b1" }, { id: "b2", params: {} }])).toBe('["b1","b2"]');
    await expect.poll(async () => (await status("b2")).status, patiently).toBe("complete");
  });

  test("waits, pauses, goes on, begins anew and ends as it is told", async () => {
    await call("/create?id=asked", { event: "1 hour" });
    await expect.poll(async () => (await status("asked")).status).toBe("waiting");
    await call("/send?id=asked", { sum: 7 });
    await expect
      .poll(() => status("asked"), patiently)
      .toMatchObject({ output: { answer: { sum: 7 } } });
    await call("/create?id=held", { sleep: 500, until: 500 });
    await call("/pause?id=held");
    await expect.poll(async () => (await status("held")).status).toBe("paused");
    await call("/resume?id=held");
    await expect.poll(async () => (await status("held")).status, patiently).toBe("complete");
    expect(await done("held")).toEqual(["first", "last"]);
    await call("/restart?id=held");
    await expect.poll(async () => (await status("held")).status, patiently).toBe("complete");
    expect(await done("held")).toEqual(["first", "first", "last", "last"]);
    await call("/create?id=ended", { sleep: "1 hour" });
    await call("/terminate?id=ended");
    expect((await status("ended")).status).toBe("terminated");
  });

  test("goes on after kill -9 in the midst of a step, without what was done before", async () => {
    await call("/create?id=killed", { busy: 3_000 });
    await expect.poll(() => done("killed"), patiently).toContain("begun");
    await killCell();
    // Nobody calls it.
    await expect.poll(() => done("killed"), patiently).toContain("last");
    expect(await done("killed")).toEqual(["begun", "begun", "ended", "first", "last"]);
  });

  test("wakes up from its sleep when the whole platform was killed meanwhile", async () => {
    await call("/create?id=sleeper", { sleep: 4_000 });
    await call("/create?id=waiter", { event: "1 hour" });
    await expect.poll(() => done("waiter"), patiently).toEqual(["first"]);
    await platform.kill("supervisor");
    await platform.restart();
    await expect.poll(() => done("sleeper"), patiently).toContain("last");
    expect(await done("sleeper")).toEqual(["first", "last"]);
    expect((await status("waiter")).status).toBe("waiting");
    await call("/send?id=waiter", "late");
    await expect
      .poll(() => status("waiter"), patiently)
      .toMatchObject({
        status: "complete",
        output: { answer: "late" },
      });
    expect(await done("waiter")).toEqual(["first", "last"]);
  });

  test("is not ended for steps that follow each other without a pause", async () => {
    const [before] = await cells();
    await call("/create?id=spins", { spin: 400 });
    // Whoever asked the instance would be a sign of progress.
    await expect.poll(() => done("spins"), patiently).toEqual(["first", "last"]);
    expect(await cells()).toEqual([before]);
  });

  test("keeps its instances through the next version, which goes on with them", async () => {
    await call("/create?id=through", { sleep: 3_000 });
    await platform.deploy("shop", form([BINDING], SOURCE.replace("VERSION", "two")));
    expect(await call("/version")).toBe("two");
    await expect.poll(() => done("through"), patiently).toContain("last");
    expect(await done("through")).toEqual(["first", "last"]);
  });

  test("has its instances at the API by the Workflow's id, also what is not running", async () => {
    const listed = await platform.api("GET", "/workflows");
    const { result } = (await listed.json()) as { result: { id: string }[] };
    expect(result).toMatchObject([
      {
        name: "orders",
        script_name: "shop",
        class_name: "Order",
        dispatch_namespace: "production",
      },
    ]);
    const path = `/workflows/${result[0]?.id}`;
    const page = await platform.api("GET", `${path}/instances?per_page=3`);
    const first = (await page.json()) as { result: { id: string }[]; result_info: object };
    expect(first.result.map(({ id }) => id)).toEqual(["through", "spins", "waiter"]);
    expect(first.result_info).toMatchObject({ count: 3, total_count: 13, cursor: "3" });
    expect((await platform.api("DELETE", path)).status).toBe(409);
  });

  test("rests when a version lacks the class, and is deleted with its instances", async () => {
    await call("/create?id=resting", { sleep: 1_500 });
    const without = `export default { fetch: () => new Response("without") };`;
    await platform.deploy("shop", form([], without));
    expect(await call("/")).toBe("without");
    await expect.poll(cells, patiently).toEqual([]);
    await platform.deploy("shop", form());
    await expect.poll(() => done("resting"), patiently).toEqual(["first", "last"]);
    await platform.deploy("shop", form([], without));
    const { result } = (await (await platform.api("GET", "/workflows")).json()) as {
      result: { id: string }[];
    };
    expect((await platform.api("DELETE", `/workflows/${result[0]?.id}`)).status).toBe(200);
    expect(await readdir(join(platform.data, "objects"))).toEqual([]);
    await platform.api("DELETE", `${SCRIPTS}/shop`);
  });
});

describe("a deploy is refused", () => {
  const answer = async (script: string, bindings: readonly object[]) => {
    const answered = await platform.api("PUT", `${SCRIPTS}/${script}`, form(bindings));
    return `${answered.status} ${await answered.text()}`;
  };

  test("with a class that is not exported, of another script, or of two Workflows", async () => {
    const other = { ...BINDING, name: "OTHER", workflow_name: "others" };
    expect(await answer("bad", [{ ...BINDING, class_name: "Missing" }])).toContain(
      "needs the class 'Missing'",
    );
    expect(await answer("bad", [{ ...BINDING, script_name: "else" }])).toContain(
      "a Worker is bound to its own only",
    );
    expect(await answer("bad", [BINDING, other])).toContain("each needs one of its own");
    expect(await answer("bad", [{ ...BINDING, workflow_name: "a b" }])).toContain("workflow_name");
  });
});

describe("wrangler", () => {
  let project: string;
  const run = async (...args: string[]) => {
    const { exitCode, output } = await wrangler(project, platform.wranglerEnv, ...args);
    expect(`${exitCode} ${output}`).toMatch(/^0 /);
    return output;
  };

  beforeAll(async () => {
    project = await createProject({
      "index.js": SOURCE,
      "wrangler.json": JSON.stringify({
        name: "store",
        main: "index.js",
        compatibility_date: "2026-11-01",
        workflows: [
          { binding: "ORDERS", name: "wrangled", class_name: "Order", limits: { steps: 3 } },
        ],
      }),
    });
  });

  test("deploys a Workflow, and has its way with the instances", async () => {
    expect(await run("deploy")).toContain("workflow: wrangled");
    expect(await run("deploy")).toContain("workflow: wrangled");
    expect(await run("workflows", "list")).toContain("wrangled");
    expect(await run("workflows", "describe", "wrangled")).toMatch(/Script Name:\s+store/);
    await run("workflows", "trigger", "wrangled", '{"event":"1 hour"}', "--id", "one");
    const instances = (...args: string[]) => run("workflows", "instances", ...args);
    await expect.poll(() => instances("list", "wrangled"), patiently).toMatch(/one.*Waiting/);
    await instances("pause", "wrangled", "one");
    expect(await instances("describe", "wrangled", "latest")).toContain("Paused");
    await instances("resume", "wrangled", "one");
    await instances("send-event", "wrangled", "one", "--type", "answer", "--payload", '{"a":1}');
    await expect
      .poll(() => instances("describe", "wrangled", "one"), patiently)
      .toMatch(/Completed[^]*first-1[^]*asked-1[^]*last-1/);
    await instances("restart", "wrangled", "one");
    await instances("terminate", "wrangled", "one");
    expect(await instances("describe", "wrangled", "one")).toContain("Terminated");
    // Four steps are one more than its limit.
    await run("workflows", "trigger", "wrangled", '{"fails":true,"busy":1}', "--id", "two");
    await expect
      .poll(() => instances("describe", "wrangled", "two"), patiently)
      .toContain("The limit of 3 steps has been reached");
    await instances("delete", "wrangled", "two");
    expect(await instances("list", "wrangled")).not.toContain("two");
  }, 180_000);
});
