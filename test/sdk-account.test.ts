/** The official `cloudflare` SDK with Workers outside of dispatch namespaces, against the real platform. */
import { toFile } from "cloudflare";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";
import { all, sdkFor, type Sdk } from "./sdk-client.ts";

let platform: Platform;
let client: Sdk["client"];
let account: Sdk["account"];

beforeAll(async () => {
  platform = await startPlatform();
  ({ client, account } = sdkFor(platform));
});

afterAll(async () => {
  await platform.stop();
});

async function code(version: string) {
  const source = `export default { fetch: (request, env) => Response.json({ version: "${version}", ...env }) };`;
  return {
    metadata: { main_module: "main.mjs", compatibility_date: "2026-01-01" },
    files: [
      await toFile(Buffer.from(source), "main.mjs", { type: "application/javascript+module" }),
    ],
  };
}

interface Listed {
  readonly id: string;
  readonly versions: readonly { readonly version_id: string }[];
}

describe("an account Worker", () => {
  const name = "by-sdk";
  const at = () => ({ ...account, script_name: name });
  const answer = async () => (await platform.fetchHost(`${name}.workers.localhost`, "/")).json();
  const secret = (key: string) => ({ name: key, text: "s", type: "secret_text" }) as const;
  /** The SDK's types have them one level too deep. */
  const deploymentsOf = async () =>
    (await all(client.workers.scripts.deployments.list(name, account))) as unknown as Listed[];
  let first = "";
  let second = "";

  test("scripts: update, list, search, get", async () => {
    const { scripts } = client.workers;
    const updated = await scripts.update(name, { ...account, ...(await code("1")) });
    expect(updated).toMatchObject({ id: name, handlers: ["fetch"] });
    expect(await answer()).toEqual({ version: "1" });
    expect(await all(scripts.list(account))).toMatchObject([{ id: name }]);
    expect(await scripts.search({ ...account, name: "sdk" })).toMatchObject([
      { script_name: name },
    ]);
    expect(await scripts.get(name, account)).toContain(`version: "1"`);
    expect(await (await scripts.content.get(name, account)).text()).toContain(`version: "1"`);
  });

  test("versions: create, list, get; deployments: create, list, get, delete", async () => {
    const { versions, deployments } = client.workers.scripts;
    const created = await versions.create(name, { ...account, ...(await code("2")) });
    second = created.id ?? "";
    expect(await answer()).toEqual({ version: "1" });
    const listed = await all(versions.list(name, account));
    first = listed[1]?.id ?? "";
    expect(listed).toMatchObject([{ id: second, number: 2 }, { number: 1 }]);
    expect(await versions.get(second, at())).toMatchObject({ id: second, number: 2 });

    const to = (version_id: string) => ({
      ...account,
      strategy: "percentage" as const,
      versions: [{ version_id, percentage: 100 }],
    });
    await deployments.create(name, to(second));
    expect(await answer()).toEqual({ version: "2" });
    await deployments.create(name, to(first));
    expect(await answer()).toEqual({ version: "1" });
    await deployments.create(name, to(second));
    const past = await deploymentsOf();
    expect(past.map(({ versions: [share] }) => share?.version_id)).toEqual([
      second,
      first,
      second,
      first,
    ]);
    const id = past[1]?.id ?? "";
    expect(await deployments.get(id, at())).toEqual(past[1]);
    await deployments.delete(id, at());
    expect(await deploymentsOf()).toHaveLength(3);
  });

  test("secrets: update, list, get, bulk update, delete", async () => {
    const { secrets } = client.workers.scripts;
    await secrets.update(name, { ...account, ...secret("A") });
    await secrets.bulkUpdate(name, { ...account, secrets: { A: null, B: secret("B") } });
    expect(await all(secrets.list(name, account))).toEqual([{ name: "B", type: "secret_text" }]);
    expect(await secrets.get("B", at())).toEqual({ name: "B", type: "secret_text" });
    expect(await answer()).toEqual({ version: "2", B: "s" });
    await secrets.delete("B", at());
    expect(await answer()).toEqual({ version: "2" });
  });

  test("settings of the script and of its versions; content: update", async () => {
    const { settings, scriptAndVersionSettings, content } = client.workers.scripts;
    await settings.edit(name, { ...account, tags: ["t"] });
    expect(await settings.get(name, account)).toMatchObject({ tags: ["t"], logpush: false });
    await scriptAndVersionSettings.edit(name, {
      ...account,
      settings: { bindings: [{ type: "plain_text", name: "V", text: "v" }] },
    });
    expect(await scriptAndVersionSettings.get(name, account)).toMatchObject({
      bindings: [{ type: "plain_text", name: "V", text: "v" }],
      tags: ["t"],
    });
    const { metadata, files } = await code("3");
    await content.update(name, { ...account, metadata, files });
    expect(await answer()).toEqual({ version: "3", V: "v" });
  });

  test("schedules and subdomains", async () => {
    const { schedules, subdomain } = client.workers.scripts;
    expect(await schedules.get(name, account)).toEqual({ schedules: [] });
    expect(await schedules.update(name, { ...account, body: [] })).toEqual({ schedules: [] });
    const body = [{ cron: "0 17 * * sun" }];
    const set = await schedules.update(name, { ...account, body });
    expect(set.schedules).toMatchObject(body);
    await expect(
      schedules.update(name, { ...account, body: [{ cron: "* * * * 0" }] }),
    ).rejects.toMatchObject({ status: 400 });
    expect(await client.workers.subdomains.get(account)).toEqual({ subdomain: "workers" });
    await expect(
      client.workers.subdomains.update({ ...account, subdomain: "mine" }),
    ).rejects.toMatchObject({ status: 400 });
    const on = { enabled: true, previews_enabled: false };
    expect(await subdomain.create(name, { ...account, ...on })).toEqual(on);
    expect(await subdomain.get(name, account)).toEqual(on);
    expect(await subdomain.delete(name, account)).toMatchObject({ enabled: false });
    expect(await client.workers.accountSettings.get(account)).toMatchObject({
      default_usage_model: "standard",
    });
  });

  test("beta workers: list, get, edit, versions", async () => {
    const { workers } = client.workers.beta;
    const [listed, ...others] = await all(workers.list(account));
    expect(others).toEqual([]);
    expect(listed).toMatchObject({ name, tags: ["t"] });
    const id = listed?.id ?? "";
    expect(await workers.get(id, account)).toEqual(listed);
    const edited = await workers.edit(id, {
      ...account,
      logpush: false,
      name,
      observability: { enabled: true },
      subdomain: { enabled: true },
      tags: ["u"],
      tail_consumers: [],
    });
    expect(edited).toMatchObject({ tags: ["u"], subdomain: { enabled: true } });
    const versions = await all(workers.versions.list(id, account));
    expect(versions.map(({ number }) => number)).toEqual([7, 6, 5, 4, 3, 2, 1]);
    expect(await workers.versions.get(second, { ...account, worker_id: id })).toMatchObject({
      id: second,
      number: 2,
    });
    await expect(workers.create({ ...account, name: "empty" })).rejects.toMatchObject({
      status: 400,
    });
  });

  test("is deleted, and answers no more", async () => {
    await client.workers.scripts.delete(name, { ...account, force: true });
    expect((await platform.fetchHost(`${name}.workers.localhost`, "/")).status).toBe(404);
    await expect(client.workers.beta.workers.get(name, account)).rejects.toMatchObject({
      status: 404,
      errors: [{ code: 10007 }],
    });
  });
});

describe("Durable Objects", () => {
  const name = "objects-by-sdk";

  test("durableObjects: namespaces, and objects page by page", async () => {
    const source = `
      export class Room {
        constructor({ storage }) { this.storage = storage; }
        async fetch() { await this.storage.put("seen", true); return new Response("kept"); }
      }
      export default {
        async fetch(request, env) {
          for (let n = 0; n < 12; n++) await env.ROOM.getByName("room " + n).fetch(request);
          return new Response("kept");
        },
      };`;
    const type = "application/javascript+module";
    const metadata = {
      main_module: "main.mjs",
      compatibility_date: "2026-01-01",
      bindings: [{ type: "durable_object_namespace", name: "ROOM", class_name: "Room" }],
      migrations: { new_tag: "v1", steps: [{ new_sqlite_classes: ["Room"] }] },
    } as const;
    const files = [await toFile(Buffer.from(source), "main.mjs", { type })];
    await client.workers.scripts.update(name, { ...account, metadata, files } as never);
    const response = await platform.fetchHost(`${name}.workers.localhost`, "/");
    expect(await response.text()).toBe("kept");
    const { namespaces } = client.durableObjects;
    const [found, ...others] = await all(namespaces.list(account));
    expect(others).toEqual([]);
    expect(found).toMatchObject({ script: name, class: "Room", use_sqlite: true });
    const objects = await all(namespaces.objects.list(found?.id ?? "", { ...account, limit: 10 }));
    expect(new Set(objects.map(({ id }) => id)).size).toBe(12);
    expect(objects.every(({ hasStoredData }) => hasStoredData)).toBe(true);
  });
});
