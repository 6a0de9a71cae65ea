/** What Durable Objects keep counts for the quota of their namespace: on the real platform, with objects that fill it. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, uploadForm, type Platform } from "../platform.ts";

let platform: Platform;

const NAMESPACE = "/workers/dispatch/namespaces/small";
const MIB = 2 ** 20;
const LIMIT_MIB = 8;
/** What comes in before the files are measured is beyond the limit. */
const FILLING_MIB = 2;

beforeAll(async () => {
  platform = await startPlatform({ args: ["--edges", "1"] });
  await platform.api("POST", "/workers/dispatch/namespaces", { name: "small" });
  await platform.skep("limits", "small", `storage_mb=${LIMIT_MIB}`);
});

afterAll(async () => {
  await platform.stop();
});

const SOURCE = `
import { DurableObject } from "cloudflare:workers";
export class Keeper extends DurableObject {
  fill(mib) {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS t (x)");
    for (let i = 0; i < mib; i++) sql.exec("INSERT INTO t VALUES (randomblob(1 << 20))");
    return "filled";
  }
  async fillAtAlarm() { await this.ctx.storage.setAlarm(Date.now()); return "will be filled"; }
  async alarm() { this.fill(64); await this.ctx.storage.sync(); }
  async empty() { await this.ctx.storage.deleteAll(); return "empty"; }
}
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const stub = env.KEEPER.getByName(searchParams.get("name") ?? "one");
    switch (pathname) {
      case "/fill": return new Response(await stub.fill(Number(searchParams.get("mib"))));
      case "/fill-at-alarm": return new Response(await stub.fillAtAlarm());
      case "/empty": return new Response(await stub.empty());
      default: return new Response(String(env.KEEPER.idFromName(searchParams.get("name"))));
    }
  },
};
`;

async function deploy(script: string): Promise<void> {
  const bindings = [{ type: "durable_object_namespace", name: "KEEPER", class_name: "Keeper" }];
  const migrations = { new_tag: "v1", steps: [{ new_sqlite_classes: ["Keeper"] }] };
  await platform.deploy(script, uploadForm(SOURCE, { bindings, migrations }), "small");
}

const ask = (script: string, path: string) => platform.fetchHost(`${script}.small.localhost`, path);

const answer = async (script: string, path: string) => {
  const response = await ask(script, path);
  return `${response.status} ${await response.text()}`;
};

interface Usage {
  readonly bytes: { readonly used: number; readonly limit: number };
  readonly resources: readonly { readonly kind: string; readonly id: string }[];
}

async function usage(): Promise<Usage> {
  const response = await platform.api("GET", `${NAMESPACE}/usage`);
  return ((await response.json()) as { result: Usage }).result;
}

async function bytesOnDisk(): Promise<number> {
  const root = join(platform.data, "objects");
  const files = await readdir(root, { recursive: true });
  const sizes = files.map(async (name) => {
    const { blocks } = await stat(join(root, name));
    return blocks * 512;
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function classOf(script: string): Promise<string> {
  const response = await platform.api("GET", "/workers/durable_objects/namespaces");
  const { result } = (await response.json()) as { result: { id: string; script: string }[] };
  return result.find((each) => each.script === script)?.id ?? "none";
}

/** Writes until it is refused. The refusal. */
async function fill(script: string): Promise<Response> {
  for (let index = 0; index < 20; index++) {
    const response = await ask(script, `/fill?mib=${FILLING_MIB}&name=${index}`);
    if (response.status === 507) return response;
    // What was under way when the process was ended.
    expect([200, 503]).toContain(response.status);
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  throw new Error("it was never refused");
}

describe("Durable Objects", () => {
  test("that fill the quota are refused, until some are deleted", async () => {
    await deploy("keeper");
    const refusal = await fill("keeper");
    expect(refusal.headers.get("x-skep-error")).toBe("507");
    expect(await refusal.text()).toMatch(
      /no room for the Durable Objects of this function: the dispatch namespace 'small' may keep 8388608 bytes \(storage_mb=8\), .*skep limits small storage_mb=\.\.\./,
    );
    const full = await bytesOnDisk();
    expect(full).toBeGreaterThan(LIMIT_MIB * MIB);

    // Whatever else it is asked for, and what others of its namespace want to keep.
    expect(await answer("keeper", "/fill?mib=1&name=new")).toMatch(/^507 /);
    await expect.poll(async () => (await usage()).bytes.used).toBeGreaterThan(LIMIT_MIB * MIB);
    expect((await usage()).resources).toMatchObject([{ kind: "durable-objects" }]);
    expect(await bytesOnDisk()).toBe(full);

    const path = `/workers/durable_objects/namespaces/${await classOf("keeper")}/objects`;
    const listed = (await (await platform.api("GET", path)).json()) as { result: { id: string }[] };
    expect((await platform.api("DELETE", `${path}/not-an-id`)).status).toBe(400);
    for (const { id } of listed.result) {
      expect((await platform.api("DELETE", `${path}/${id}`)).status).toBe(200);
    }
    expect(await bytesOnDisk()).toBeLessThan(MIB);
    await expect.poll(() => answer("keeper", "/fill?mib=1&name=new")).toBe("200 filled");
    const { bytes } = await usage();
    expect(bytes.used).toBeLessThan(LIMIT_MIB * MIB);
  });

  test("go on when the quota is raised, give back what deleteAll() deletes, and go with their script", async () => {
    await deploy("raised");
    await (await fill("raised")).body?.cancel();
    await platform.skep("limits", "small", "storage_mb=64");
    await expect.poll(() => answer("raised", "/fill?mib=1&name=0")).toBe("200 filled");
    const before = (await usage()).bytes.used;
    for (let index = 0; index < 20; index++) {
      expect(await answer("raised", `/empty?name=${index}`)).toBe("200 empty");
    }
    await expect.poll(async () => (await usage()).bytes.used).toBeLessThan(before - 4 * MIB);
    await platform.skep("limits", "small", `storage_mb=${LIMIT_MIB}`);
    await platform.api("DELETE", `${NAMESPACE}/scripts/raised`);
    await expect
      .poll(async () => (await usage()).resources.filter(({ kind }) => kind === "durable-objects"))
      .toHaveLength(1);
  });

  test("are ended when an alarm fills the disk, which nobody has asked for", async () => {
    await deploy("alarmed");
    expect(await answer("alarmed", "/fill-at-alarm")).toBe("200 will be filled");
    await expect.poll(() => answer("alarmed", "/")).toMatch(/^507 /);
    const full = await bytesOnDisk();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    // The process may have been in the midst of ending, and leaves less then.
    expect(await bytesOnDisk()).toBeLessThanOrEqual(full);
  });
});
