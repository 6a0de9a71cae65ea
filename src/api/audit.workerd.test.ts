import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  deploy,
  failSupervisor,
  hello,
  helloForm,
  hub,
  limitedToken,
  NAMESPACES,
  ROUTES,
  scriptPath,
  uploadForm,
} from "../hub/test/api.ts";
import { registryOf } from "../registry/client.ts";
import { difference } from "../registry/snapshot.ts";
import { RULES } from "./permissions.ts";

const LOGS = `/accounts/${ACCOUNT}/audit_logs`;
const KV = `/accounts/${ACCOUNT}/storage/kv/namespaces`;
const QUEUES = `/accounts/${ACCOUNT}/queues`;
const TOKENS = `/accounts/${ACCOUNT}/tokens`;

beforeAll(async () => {
  await bootstrap();
});

async function logs(query = "") {
  return (await call("GET", `${LOGS}${query}`)).result as {
    id: string;
    action: { type: string };
    actor: { email: string };
    resource: { id: string };
    oldValueJson: Record<string, unknown> | null;
    newValueJson: Record<string, unknown> | null;
  }[];
}

describe("every change is recorded:", () => {
  const secret = (name: string) => ({ name, text: "canary-text", type: "secret_text" });
  const settings = () => {
    const form = new FormData();
    form.set("settings", JSON.stringify({ tags: ["patched"] }));
    return form;
  };
  const content = () => uploadForm({ main_module: "index.js" }, hello);
  const token = async () => {
    const policies = [
      {
        effect: "allow",
        permission_groups: [{ id: "read" }],
        resources: { [`com.cloudflare.api.account.${ACCOUNT}`]: "*" },
      },
    ];
    return (await call("POST", TOKENS, { name: "made", policies })).result.id as string;
  };
  const kv = async () =>
    (await call("POST", KV, { title: crypto.randomUUID() })).result.id as string;
  const route = async () => {
    const pattern = `${crypto.randomUUID()}.example.com/*`;
    return (await call("POST", ROUTES, { pattern, namespace: "production" })).result.id as string;
  };
  const queue = async () =>
    `${QUEUES}/${(await call("GET", `${QUEUES}?name=audited`)).result[0].queue_id}`;
  const zone = async () => `/zones/${(await call("GET", "/zones")).result[0].id}`;
  const S = scriptPath("audited");
  const newestVersion = async () => {
    const { items } = (await call("GET", `${S}/versions`)).result;
    return { strategy: "percentage", versions: [{ version_id: items[0].id, percentage: 100 }] };
  };
  const oldestDeployment = async () =>
    (await call("GET", `${S}/deployments`)).result.deployments.at(-1).id as string;

  const candidate = async () => {
    const { result } = await call("POST", `${S}/versions`, helloForm("candidate"));
    return { version_id: result.id as string };
  };
  const startedRollout = async () => {
    await call("POST", `${S}/rollout`, await candidate());
    return `${S}/rollout/promote`;
  };

  const followed = async () => {
    const registry = registryOf(hub);
    const id = crypto.randomUUID().replaceAll("-", "");
    const kept = { id, accountId: ACCOUNT, namespaceId: null, kind: "kv", name: id } as const;
    await registry.createResource({ ...kept, settings: {} });
    await registry.settleStore();
    const bindings = [{ type: "kv_namespace", name: "KEPT", namespace_id: id }];
    await call("PUT", S, uploadForm({ main_module: "index.js", bindings }, hello));
    return `${S}/changes`;
  };
  const feed = async () => {
    const made = await call("POST", await followed(), { binding: "KEPT" });
    return `${S}/changes/${made.result.id}`;
  };

  const DATABASES = `/accounts/${ACCOUNT}/d1/database`;
  const ETAG = "0".repeat(32);
  const database = async () => {
    const name = crypto.randomUUID();
    return `${DATABASES}/${(await call("POST", DATABASES, { name })).result.uuid}`;
  };
  const restore = async () => {
    const path = `${await database()}/time_travel`;
    const { result } = await call("GET", `${path}/bookmark`);
    return `${path}/restore?bookmark=${result.bookmark}`;
  };
  const BUCKETS = `/accounts/${ACCOUNT}/r2/buckets`;
  const INFREQUENT = { "cf-r2-storage-class": "InfrequentAccess" };
  const CORS = { rules: [{ allowed: { origins: ["*"], methods: ["GET"] } }] };
  const notified = async () => {
    const { result } = await call("POST", QUEUES, { queue_name: "notified" });
    const id: string = result.queue_id;
    return `/accounts/${ACCOUNT}/event_notifications/r2/audited/configuration/queues/${id}`;
  };

  const FLOWS = `/accounts/${ACCOUNT}/workers/scripts/flows`;
  const flows = (bindings: object[]) => {
    const source = "export class Flow {}; export default { fetch: () => new Response() };";
    const main = ["index.js", source, "application/javascript+module"] as const;
    return uploadForm({ main_module: "index.js", bindings }, [...main]);
  };
  const workflow = async () => {
    const binding = { type: "workflow", name: "F", workflow_name: "audited", class_name: "Flow" };
    await call("PUT", FLOWS, flows([binding]));
    return `/accounts/${ACCOUNT}/workflows/audited`;
  };
  const unbound = async () => {
    const path = await workflow();
    await call("PUT", FLOWS, flows([]));
    return path;
  };

  it.each<[string, string, string | (() => Promise<string>), unknown?, Record<string, string>?]>([
    ["namespace.create", "POST", NAMESPACES, { name: "made" }],
    ["namespace.update", "PUT", `${NAMESPACES}/made`, { name: "renamed" }],
    ["namespace.limits", "PUT", `${NAMESPACES}/renamed/limits`, { cpu_ms: 10 }],
    ["namespace.delete", "DELETE", `${NAMESPACES}/renamed`],
    ["script.deploy", "PUT", S, helloForm("one")],
    ["script.deploy", "PUT", `${S}/content`, content()],
    ["assets.upload", "POST", `${S}/assets-upload-session`, { manifest: {} }],
    ["script.settings", "PATCH", `${S}/settings`, settings()],
    ["script.limits", "PUT", `${S}/limits`, { cpu_ms: 10 }],
    ["tail.start", "POST", `${S}/tails`, { filters: [] }],
    ["secret.put", "PUT", `${S}/secrets`, secret("KEY")],
    ["secret.delete", "DELETE", `${S}/secrets/KEY`],
    ["secrets.change", "PATCH", `${S}/secrets-bulk`, { secrets: { B: secret("B") } }],
    ["script.tags", "PUT", `${S}/tags`, ["a"]],
    ["script.tags", "PUT", `${S}/tags/b`],
    ["script.tags", "DELETE", `${S}/tags/b`],
    ["version.upload", "POST", `${S}/versions`, helloForm("two")],
    ["deployment.create", "POST", `${S}/deployments`, newestVersion],
    ["deployment.delete", "DELETE", async () => `${S}/deployments/${await oldestDeployment()}`],
    ["script.schedules", "PUT", `${S}/schedules`, [{ cron: "* * * * *" }]],
    ["script.invocations", "PUT", `${S}/invocations/config`, { max_attempts: 2 }],
    ["rollout.start", "POST", `${S}/rollout`, candidate],
    ["rollout.abort", "DELETE", `${S}/rollout`],
    ["rollout.promote", "POST", startedRollout],
    ["changes.create", "POST", followed, { binding: "KEPT" }],
    ["changes.update", "PUT", followed, { changes: [] }],
    ["changes.position", "PUT", async () => `${await feed()}/position`, { position: 0 }],
    ["changes.delete", "DELETE", feed],
    ["script.delete", "DELETE", S],
    ["scripts.delete", "DELETE", `${NAMESPACES}/production/scripts?tags=none:yes`],
    ["route.create", "POST", ROUTES, { pattern: "a.example.com/*", namespace: "production" }],
    [
      "route.update",
      "PUT",
      async () => `${ROUTES}/${await route()}`,
      { pattern: "b.example.com/*", namespace: "production" },
    ],
    ["route.delete", "DELETE", async () => `${ROUTES}/${await route()}`],
    ["kv.create", "POST", KV, { title: "audited" }],
    ["kv.rename", "PUT", async () => `${KV}/${await kv()}`, { title: "audited anew" }],
    ["kv.delete", "DELETE", async () => `${KV}/${await kv()}`],
    ["d1.create", "POST", DATABASES, { name: "audited" }],
    ["d1.import", "POST", async () => `${await database()}/import`, { action: "init", etag: ETAG }],
    ["d1.restore", "POST", restore],
    ["d1.delete", "DELETE", database],
    ["r2.create", "POST", BUCKETS, { name: "audited" }],
    ["r2.change", "PATCH", `${BUCKETS}/audited`, undefined, INFREQUENT],
    ["r2.cors", "PUT", `${BUCKETS}/audited/cors`, CORS],
    ["r2.cors", "DELETE", `${BUCKETS}/audited/cors`],
    ["r2.lifecycle", "PUT", `${BUCKETS}/audited/lifecycle`, { rules: [] }],
    ["r2.notifications", "PUT", notified, { rules: [{ actions: ["PutObject"] }] }],
    ["r2.delete", "DELETE", `${BUCKETS}/audited`],
    ["zone.create", "POST", "/zones", { name: "audited.example" }],
    ["zone.delete", "DELETE", zone],
    ["queue.create", "POST", QUEUES, { queue_name: "audited" }],
    ["queue.settings", "PATCH", queue, { settings: { delivery_delay: 1 } }],
    ["queue.consumer", "POST", async () => `${await queue()}/consumers`, { type: "http_pull" }],
    [
      "queue.purge",
      "POST",
      async () => `${await queue()}/purge`,
      { delete_messages_permanently: true },
    ],
    ["queue.delete", "DELETE", queue],
    ["workflow.settings", "PUT", workflow, { script_name: "flows", class_name: "Flow" }],
    ["workflow.delete", "DELETE", unbound],
    ["token.roll", "PUT", async () => `${TOKENS}/${await token()}/value`, {}],
    ["token.delete", "DELETE", async () => `${TOKENS}/${await token()}`],
  ])("%s by %s %s", async (action, method, path, body, headers) => {
    const target = typeof path === "string" ? path : await path();
    const content = typeof body === "function" ? await (body as () => Promise<object>)() : body;
    const [last] = await logs("?per_page=1");
    const answer = await call(method, target, content as object | undefined, headers);
    expect(answer.errors).toEqual([]);
    const [entry, ...more] = (await logs()).filter(({ id }) => Number(id) > Number(last?.id ?? 0));
    expect(more).toEqual([]);
    expect(entry).toMatchObject({ action: { type: action }, actor: { email: "operator" } });
  });

  it("all actions but those of account Workers were among them", async () => {
    const seen = new Set((await logs()).map(({ action }) => action.type));
    const known = Object.entries(RULES)
      .filter(([path]) => !/:account\/workers\/(scripts|domains)/.test(path))
      .flatMap(([, { action }]) => action ?? []);
    expect(known.filter((action) => !seen.has(action))).toEqual([]);
  });
});

describe("an entry", () => {
  it("says what differs, with secrets hidden", async () => {
    await deploy("watched", helloForm("one"));
    const path = `${scriptPath("watched")}/secrets`;
    await call("PUT", path, { name: "KEY", text: "first-canary", type: "secret_text" });
    await call("PUT", path, { name: "KEY", text: "second-canary", type: "secret_text" });
    const [again, first, made] = await logs("?target=production/watched");
    expect(Object.keys(again?.newValueJson ?? {}).sort()).toEqual([
      "deployment",
      "newest version",
      "secret KEY",
    ]);
    expect([again?.oldValueJson?.["secret KEY"], again?.newValueJson?.["secret KEY"]]).toEqual([
      "***",
      "***",
    ]);
    expect(first?.oldValueJson).not.toHaveProperty("secret KEY");
    expect(made?.oldValueJson).toBeNull();
    const stored = await runInDurableObject(
      hub.REGISTRY.getByName("registry"),
      (_instance, { storage }) => JSON.stringify(storage.sql.exec("SELECT * FROM audit").toArray()),
    );
    expect(stored).not.toContain("canary");
  });

  it("says what became of a zone, and of the routes to a Worker", async () => {
    const worker = `/accounts/${ACCOUNT}/workers/scripts/routed`;
    await call("PUT", worker, helloForm("one"));
    const { id } = (await call("POST", "/zones", { name: "told.example" })).result;
    await call("PUT", `${worker}/routes`, [{ pattern: "a.told.example/*" }]);
    const domains = { override_scope: true, origins: [{ hostname: "b.told.example" }] };
    await call("PUT", `${worker}/domains/records`, domains);
    await call("DELETE", `/zones/${id}`);
    const [deleted, domain, route, made] = await logs();
    expect(made).toMatchObject({
      resource: { id: `zone ${id}` },
      oldValueJson: null,
      newValueJson: { name: "told.example" },
    });
    expect([route, domain].map((each) => [each?.oldValueJson, each?.newValueJson])).toEqual([
      [{}, { "route a.told.example/*": "told.example" }],
      [{}, { "custom domain b.told.example/*": "told.example" }],
    ]);
    expect(deleted).toMatchObject({
      action: { type: "zone.delete" },
      oldValueJson: {
        name: "told.example",
        "route a.told.example/*": "routed",
        "custom domain b.told.example/*": "routed",
      },
      newValueJson: null,
    });
  });

  it("says who had a custom domain that another Worker takes", async () => {
    const domains = `/accounts/${ACCOUNT}/workers/domains`;
    await call("POST", "/zones", { name: "taken.example" });
    for (const service of ["giver", "taker"]) {
      await call("PUT", `/accounts/${ACCOUNT}/workers/scripts/${service}`, helloForm("one"));
      await call("PUT", domains, { hostname: "taken.example", service });
    }
    const [took, , gave] = await logs();
    expect([gave, took].map((each) => [each?.oldValueJson, each?.newValueJson])).toEqual([
      [null, expect.objectContaining({ pattern: "taken.example/*", script: "giver" })],
      [{ script: "giver" }, { script: "taker" }],
    ]);
  });

  it("names the token, and is not made for what was refused", async () => {
    const name = await limitedToken("deployer", { permissions: ["deploy"] });
    const headers = { authorization: `Bearer ${name}` };
    const before = (await logs()).length;
    expect((await call("PUT", `${NAMESPACES}/production/limits`, {}, headers)).status).toBe(403);
    expect((await call("PUT", scriptPath("watched"), "no upload", headers)).status).toBe(400);
    expect((await call("PUT", scriptPath("gone") + "/tags", ["a"], headers)).status).toBe(404);
    expect((await logs()).length).toBe(before);
    await call("PUT", `${scriptPath("watched")}/tags`, ["a"], headers);
    expect((await logs())[0]).toMatchObject({
      actor: { email: "deployer" },
      oldValueJson: { tags: [] },
      newValueJson: { tags: ["a"] },
    });
  });

  it("is made for a change that is stored and not confirmed", async () => {
    // The edges are told of tags later on; not of this change, which is waited for.
    await call("PUT", `${scriptPath("watched")}/limits`, { cpu_ms: 10 });
    await failSupervisor("/routing", 1);
    const answer = await call("PUT", `${scriptPath("watched")}/limits`, { cpu_ms: 20 });
    expect(answer.status).toBe(503);
    expect((await logs())[0]).toMatchObject({ action: { type: "script.limits" } });
  });

  it("is found by target, by what lies beneath it, and by time", async () => {
    await deploy("another", helloForm("one"));
    const targets = async (query: string) =>
      new Set((await logs(query)).map(({ resource }) => resource.id));
    expect(await targets("?target=production/another")).toEqual(new Set(["production/another"]));
    expect((await targets("?target=production")).has("production/another")).toBe(true);
    expect(await targets("?target=produ")).toEqual(new Set());
    expect(await targets("?before=2020-01-01")).toEqual(new Set());
    expect((await targets("?since=1h")).size).toBeGreaterThan(1);
    expect((await call("GET", `${LOGS}?since=soon`)).errors[0]?.message).toContain("'soon'");
  });
});

it("the newest 10,000 are kept", async () => {
  const registry = hub.REGISTRY.getByName("registry");
  const count = await runInDurableObject(registry, (instance, { storage }) => {
    const entry = {
      accountId: ACCOUNT,
      actor: { id: "x", name: "x" },
      address: "",
      action: "script.tags",
      target: "production/x",
      before: null,
      after: null,
    };
    storage.transactionSync(() => {
      for (let n = 0; n < 10_050; n++) instance.recordAudit(entry);
    });
    return storage.sql.exec<{ count: number }>(`SELECT COUNT(*) AS count FROM audit`).one().count;
  });
  expect(count).toBe(10_000);
});

describe("the log stays readable:", () => {
  it("read in pages", async () => {
    await runInDurableObject(hub.REGISTRY.getByName("registry"), (instance) => {
      for (let n = 0; n < 3; n++) {
        instance.recordAudit({
          accountId: ACCOUNT,
          actor: { id: "a", name: "a" },
          address: "",
          action: "script.tags",
          target: "paged/a",
          before: { n },
          after: null,
        });
      }
    });
    const answer = await call("GET", `${LOGS}?target=paged&per_page=2&page=2`);
    expect(answer.result).toMatchObject([{ oldValueJson: { n: 0 } }]);
    expect(answer.result_info).toEqual({
      page: 2,
      per_page: 2,
      count: 1,
      total_count: 3,
      total_pages: 2,
    });
    const most = await call("GET", `${LOGS}?per_page=100000`);
    expect(most.result_info?.["per_page"]).toBe(1_000);
  });

  it("no more of one change than fits", () => {
    const facts = { name: "a", tags: "x".repeat(20_000), code: "b" };
    expect(difference(null, facts).after).toEqual({ name: "a", code: "b", "and more": 1 });
  });
});
