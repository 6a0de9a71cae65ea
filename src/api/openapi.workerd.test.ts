/** The OpenAPI document against the routes of app.ts and against real answers. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  adminGate,
  bootstrap,
  call,
  edgeGate,
  ES_MODULE,
  helloForm,
  hub,
  MAIN,
  NAMESPACES,
  ROUTES,
  scriptPath,
  uploadForm,
} from "../hub/test/api.ts";
import { batchOf, COLD } from "../dispatcher/test/batch.ts";
import type { Incident } from "../protocol/incident.ts";
import { registryOf } from "../registry/client.ts";
import type { TraceEvent } from "../protocol/trace.ts";
import { app } from "./app.ts";
import { nothing } from "./openapi/answers.ts";
import { OPERATIONS } from "./openapi/operations.ts";

interface Document {
  readonly openapi: string;
  readonly paths: Record<
    string,
    Record<string, { operationId: string; parameters: { name: string }[] }>
  >;
}

const QUEUE = "/client/v4/accounts/:account/queues/:queue";

beforeAll(async () => {
  await bootstrap();
});

function servedRoutes(): string[] {
  // Middleware is registered for ALL methods.
  const routes = app.routes.filter(({ method }) => method !== "ALL");
  return routes.map(({ method, path }) => `${method} ${path}`);
}

describe("the OpenAPI document", () => {
  it("has an entry in openapi/operations.ts for every route of app.ts", () => {
    const missing = servedRoutes().filter((route) => !(route in OPERATIONS));
    expect(missing).toEqual([]);
  });

  it("has no entry without a route", () => {
    const routes = new Set(servedRoutes());
    expect(Object.keys(OPERATIONS).filter((key) => !routes.has(key))).toEqual([]);
  });

  it("is served as OpenAPI 3.1, names each operation once and each parameter of a path", async () => {
    const document = (await call("GET", "/openapi.json")) as unknown as Document;
    expect(document.openapi).toBe("3.1.0");
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ path, ...operation })),
    );
    expect(operations).toHaveLength(Object.keys(OPERATIONS).length);
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, parameters } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      expect(parameters.map(({ name }) => name)).toEqual(expect.arrayContaining(inPath));
    }
  });
});

const V4 = "/client/v4";
const SCRIPT = "/accounts/:account/workers/dispatch/namespaces/:namespace/scripts/:script";
const ORIGINS = [{ hostname: "b.zone.example" }, { hostname: "c.zone.example" }];
const MANIFEST = {
  "/a": { hash: "a".repeat(32), size: 1 },
  "/b": { hash: "b".repeat(32), size: 1 },
};
const KINDS_OF_ID = [
  ["/zones/", "zone route"],
  ["/domains", "domain"],
  ["/durable_objects/", "objects"],
] as const;
const TOKEN_BODY = {
  name: "ci",
  expires_on: "2100-01-01",
  policies: [
    {
      effect: "allow",
      permission_groups: [{ id: "read" }],
      resources: { [`com.cloudflare.api.account.${ACCOUNT}`]: "*" },
    },
  ],
};

const KEPT = "0".repeat(32);

async function tell(what: string, body: object): Promise<void> {
  const init = { method: "POST", body: JSON.stringify(body) };
  expect((await edgeGate.fetch(`http://hub/${what}?edge=0`, init)).ok).toBe(true);
}

function traced(versionId: string, atMs: number): TraceEvent {
  return {
    outcome: "exception",
    scriptName: "described",
    scriptVersion: { id: versionId },
    scriptTags: [],
    logs: [{ message: ["hello", 1], level: "log", timestamp: atMs }],
    exceptions: [{ name: "Error", message: "boom", timestamp: atMs, stack: "at index.js" }],
    diagnosticsChannelEvents: [],
    eventTimestamp: atMs,
    wallTime: 1,
    cpuTime: 0,
    truncated: false,
    executionModel: "stateless",
    event: { request: { url: "http://x/", method: "GET", headers: {} }, response: { status: 500 } },
  };
}

describe("a real answer is as the document says", () => {
  const account = `/accounts/${ACCOUNT}`;
  const worker = `${account}/workers/scripts/described`;
  const user = scriptPath("described");
  /** What stands for `:zone` and the like, of a script by its path. */
  const ids: Record<string, string> = {};
  const make = async (name: string, ...given: Parameters<typeof call>) => {
    const { result, errors } = await call(...given);
    expect(errors).toEqual([]);
    ids[name] = result.id;
  };

  beforeAll(async () => {
    const metadata = { tags: ["a"], observability: { enabled: true } };
    const registry = registryOf(hub);
    const kept = {
      id: KEPT,
      accountId: ACCOUNT,
      namespaceId: null,
      kind: "kv",
      name: "kept",
    } as const;
    await registry.createResource({ ...kept, settings: {} });
    const bindings = [{ type: "kv_namespace", name: "KEPT", namespace_id: KEPT }];
    for (const script of [user, worker]) {
      await call("PUT", script, helloForm("hi", { ...metadata, bindings }));
      await make(`${script} feed`, "POST", `${script}/changes`, { binding: "KEPT" });
      const secret = { name: "KEY", type: "secret_text", text: "x" };
      await call("PUT", `${script}/secrets`, secret);
      const { deployments } = (await call("GET", `${script}/deployments`)).result;
      ids[`${script} deployment`] = deployments[0].id;
      await make(`${script} version`, "POST", `${script}/versions`, helloForm("next"));
      const rollout = { version_id: ids[`${script} version`] };
      await make(`${script} rollout`, "POST", `${script}/rollout`, rollout);
      await make(`${script} tail`, "POST", `${script}/tails`, {});
      await make(`${script} invocation`, "POST", `${script}/invocations`);
    }
    const queues = `${account}/queues`;
    ids["queue"] = (await call("POST", queues, { queue_name: "described" })).result.queue_id;
    const pulls = { type: "http_pull" };
    const added = await call("POST", `${queues}/${ids["queue"]}/consumers`, pulls);
    ids["consumer"] = added.result.consumer_id;
    await make("namespace tail", "POST", `${NAMESPACES}/production/tails`);
    const service = { type: "service", name: "SERVICE", service: "described" };
    const uses = { bindings: [service], tail_consumers: [{ service: "described" }] };
    await call("PUT", `${account}/workers/scripts/user`, helloForm("hi", uses));

    await make("zone", "POST", "/zones", { name: "zone.example" });
    await make("zone route", "POST", `/zones/${ids["zone"]}/workers/routes`, {
      pattern: "a.zone.example/*",
      script: "described",
    });
    const domain = { hostname: "b.zone.example", service: "described" };
    await make("domain", "PUT", `${account}/workers/domains`, domain);
    const classes = uploadForm({ ...MAIN, migrations: { steps: [{ new_classes: ["Room"] }] } }, [
      "index.js",
      "export class Room {}; export default { fetch: () => new Response() };",
      ES_MODULE,
    ]);
    await call("PUT", scriptPath("with-objects"), classes);
    const flow = { type: "workflow", name: "FLOW", workflow_name: "flow", class_name: "Room" };
    const bound = uploadForm({ ...MAIN, bindings: [flow] }, [
      "index.js",
      "export class Room {}; export default { fetch: () => new Response() };",
      ES_MODULE,
    ]);
    await call("PUT", `${account}/workers/scripts/with-workflow`, bound);
    const namespaces = await call("GET", `${account}/workers/durable_objects/namespaces`);
    ids["objects"] = namespaces.result[0].id;
    const route = { pattern: "described.example/*", namespace: "production", script: "described" };
    await make("route", "POST", ROUTES, route);
    await make("kv", "POST", `${account}/storage/kv/namespaces`, { title: "described" });
    const pairs = [{ key: "key", value: "v", metadata: { a: 1 }, expiration_ttl: 600 }];
    await call("PUT", `${account}/storage/kv/namespaces/${ids["kv"]}/bulk`, pairs);
    const { result } = await call("POST", `${account}/d1/database`, { name: "described" });
    ids["database"] = result.uuid;
    await make("token", "POST", `${account}/tokens`, TOKEN_BODY);
    await makeBucket();
    await happen();
  });

  async function makeBucket(): Promise<void> {
    const name = "described-bucket";
    await call("POST", `${account}/r2/buckets`, { name });
    const bucket = `${account}/r2/buckets/${name}`;
    const headers = { "content-type": "text/plain", expires: "Fri, 15 Jan 2027 08:00:00 GMT" };
    await call("PUT", `${bucket}/objects/a`, "x", headers);
    const allowed = { origins: ["*"], methods: ["GET"] };
    await call("PUT", `${bucket}/cors`, { rules: [{ allowed }] });
    const configuration = `${account}/event_notifications/r2/${name}/configuration`;
    const rules = [{ actions: ["PutObject"], description: "all" }];
    const { errors } = await call("PUT", `${configuration}/queues/${ids["queue"]}`, { rules });
    expect(errors).toEqual([]);
  }

  it.for(
    Object.entries(OPERATIONS).filter(
      ([key, { result }]) => key.startsWith("GET ") && result !== undefined && result !== nothing,
    ),
  )("%s", async ([key, { result: schema, list }]) => {
    const path = pathOf(key);
    const { success, errors, result } = await call("GET", path);
    expect({ success, errors }).toEqual({ success: true, errors: [] });
    const all = list ? (result as unknown[]) : [result];
    expect(all, "nothing to look at").not.toEqual([]);
    for (const one of all) schema?.parse(one);
  });

  it.for<[string, object | null, string?]>([
    [`PATCH ${V4}${SCRIPT}/secrets-bulk`, { secrets: {} }],
    [`PUT ${V4}${SCRIPT}/tags/:tag`, null],
    [`POST ${V4}${SCRIPT}/tails`, {}],
    [`DELETE ${V4}${SCRIPT}/rollout`, null],
    [`POST ${V4}${SCRIPT}/assets-upload-session`, { manifest: MANIFEST }],
    [
      `DELETE ${V4}/accounts/:account/workers/dispatch/namespaces/:namespace/scripts`,
      null,
      "?tags=a:yes",
    ],
    [
      `POST ${V4}/accounts/:account/workers/scripts/:script/domains/changeset`,
      ORIGINS,
      "?replace_state=true",
    ],
    [`PUT ${V4}/accounts/:account/workers/scripts/:script/domains/records`, { origins: ORIGINS }],
    [`POST ${V4}/user/tokens`, TOKEN_BODY],
    [`PUT ${V4}/accounts/:account/tokens/:token/value`, {}],
    [`DELETE ${V4}/accounts/:account/tokens/:token`, null],
    [`DELETE ${V4}/zones/:zone`, null],
    [`POST ${QUEUE}/messages`, { body: "x" }],
    [`POST ${QUEUE}/messages/batch`, { messages: [{ body: "y", content_type: "text" }] }],
    [`POST ${QUEUE}/messages/peek`, {}],
    [`POST ${QUEUE}/messages/pull`, {}],
    [`POST ${QUEUE}/messages/ack`, { acks: [{ lease_id: "1.0" }] }],
    [`POST ${QUEUE}/messages/purge`, { refs: [] }],
    [`POST ${QUEUE}/purge`, { delete_messages_permanently: true }],
    [`PATCH ${QUEUE}`, { settings: { delivery_delay: 1 } }],
    [`PUT ${QUEUE}/consumers/:consumer`, { type: "http_pull" }],
    [`DELETE ${QUEUE}/consumers/:consumer`, null],
    [`DELETE ${QUEUE}`, null],
  ])("%s", async ([key, body, query = ""]) => {
    const operation = OPERATIONS[key];
    const [method = ""] = key.split(" ");
    const { errors, result } = await call(method, pathOf(key) + query, body ?? undefined);
    expect(errors).toEqual([]);
    expect(() => operation?.result?.parse(result)).not.toThrow();
  });

  it("POST …/workers/assets/upload", async () => {
    const session = await call("POST", `${worker}/assets-upload-session`, { manifest: MANIFEST });
    const authorization = `Bearer ${session.result.jwt}`;
    const path = `${account}/workers/assets/upload`;
    const schema = OPERATIONS[`POST ${V4}/accounts/:account/workers/assets/upload`]?.result;
    for (const [{ hash }, text] of [
      [MANIFEST["/a"], "a"],
      [MANIFEST["/b"], "b"],
    ] as const) {
      const form = new FormData();
      form.set(hash, new File([btoa(text)], hash));
      const { result, errors } = await call("POST", `${path}?base64=true`, form, { authorization });
      expect(errors).toEqual([]);
      schema?.parse(result);
    }
  });

  /** Each kind of report has something to tell. */
  async function happen() {
    const nowMs = Date.now();
    const versionId = (await call("GET", `${user}/placement`)).result.version_id as string;
    for (const namespace of ["production", "workers"]) {
      const at = { namespace, script: "described" };
      const batch = batchOf(namespace, 1, Math.floor(nowMs / 60_000) * 60_000, [
        { versionId, cold: COLD, wallMs: 7 },
        { versionId, outcome: "exception", status: 500 },
      ]);
      await tell("telemetry", { functions: [{ ...at, batch }] });
      const points = [
        { namespace, dataset: "set", atMs: nowMs, blobs: ["a", null], doubles: [1], index: null },
      ];
      await tell("analytics", { points });
      await tell("traces", {
        batches: [{ ...at, events: [traced(versionId, nowMs)], dropped: 0 }],
      });
    }
    const incident: Incident = {
      kind: "cpu",
      atMs: nowMs,
      process: "cell",
      index: 1,
      life: 1,
      killed: true,
      named: versionId,
      certain: false,
      involved: [versionId],
      detail: "212 ms of CPU without progress",
    };
    const init = { method: "POST", body: JSON.stringify(incident) };
    expect((await adminGate.fetch("http://hub/incident", init)).status).toBe(204);
  }

  function pathOf(key: string): string {
    const path = key.slice(key.indexOf(" ") + 1).replace(V4, "");
    const script = path.includes("/namespaces/") ? user : worker;
    const values: Record<string, string | undefined> = {
      account: ACCOUNT,
      database: ids["database"],
      namespace: "production",
      script: "described",
      secret: "KEY",
      tag: "new",
      environment: "production",
      dataset: "set",
      bucket: "described-bucket",
      zone: ids["zone"],
      queue: ids["queue"],
      consumer: ids["consumer"],
      token: ids["token"],
      kv: ids["kv"],
      key: "key",
      version: ids[`${script} version`],
      feed: ids[`${script} feed`],
      deployment: ids[`${script} deployment`],
      id: ids[KINDS_OF_ID.find(([part]) => path.includes(part))?.[1] ?? "route"],
      invocation: ids[`${script} invocation`],
      workflow: "flow",
      instance: "one",
    };
    return path.replace(/:(\w+)/g, (_, name: string) => values[name] ?? `no-${name}`);
  }
});

describe("a product that Skep does not have", () => {
  it.for([
    [`/accounts/${ACCOUNT}/r2/buckets/some/sippy`, "R2 migrations"],
    [`/accounts/${ACCOUNT}/ai/run/model`, "Workers AI"],
    [`/accounts/${ACCOUNT}/stream`, "Cloudflare Stream"],
    ["/zones/z/email/routing", "Email Routing"],
  ] as const)("is named in the answer to %s", async ([path, product]) => {
    const { status, success, errors } = await call("PROPFIND", path);
    expect({ status, success }).toEqual({ status: 400, success: false });
    expect(errors).toEqual([
      { code: 930006, message: expect.stringMatching(`^Skep has no ${product}: `) },
    ]);
  });

  it("is not made up for other paths", async () => {
    const { status, errors } = await call("GET", `/accounts/${ACCOUNT}/r3/buckets`);
    expect({ status, code: errors[0]?.code }).toEqual({ status: 404, code: 7003 });
  });
});
