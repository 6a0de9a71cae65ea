import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  deploy,
  edgeGate,
  ES_MODULE,
  failSupervisor,
  helloForm,
  hub,
  request,
  scriptPath,
  supervisorCalls,
  uploadForm,
} from "../hub/test/api.ts";
import type { RoutingUpdate, ScriptState } from "../protocol/routing.ts";
import { registryOf } from "../registry/client.ts";

const WORKERS = `/accounts/${ACCOUNT}/workers`;

beforeAll(async () => {
  await bootstrap();
});

function worker(script: string): string {
  return `${WORKERS}/scripts/${script}`;
}

async function put(script: string, text = "one", metadata: object = {}): Promise<string> {
  const answer = await call("PUT", worker(script), helloForm(text, metadata));
  expect(answer.errors).toEqual([]);
  return answer.result.deployment_id;
}

async function upload(script: string, text: string, metadata: object = {}): Promise<string> {
  const answer = await call("POST", `${worker(script)}/versions`, helloForm(text, metadata));
  expect(answer.errors).toEqual([]);
  return answer.result.id;
}

function share(...versions: readonly (readonly [string, number])[]) {
  return {
    strategy: "percentage",
    versions: versions.map(([version_id, percentage]) => ({ version_id, percentage })),
  };
}

async function resolve(script: string): Promise<ScriptState> {
  return (await edgeGate.fetch(`http://hub/resolve?namespace=workers&script=${script}`)).json();
}

/** All pages, as the SDK asks for them. */
async function pages(path: string, read: (result: never) => readonly unknown[]) {
  const items: unknown[] = [];
  for (let page = 1; page < 50; page++) {
    const { result } = await call("GET", `${path}${path.includes("?") ? "&" : "?"}page=${page}`);
    const found = read(result as never);
    if (found.length === 0) return items;
    items.push(...found);
  }
  throw new Error(`${path} has no last page`);
}

describe("an account Worker", () => {
  it("is deployed, found by every view of it, and deleted", async () => {
    const id = await put("seen", "one", { tags: ["a"] });
    expect(await resolve("seen")).toMatchObject({ versionId: id, place: { kind: "dedicated" } });
    const service = await call("GET", `${WORKERS}/services/seen`);
    expect(service.result.default_environment).toMatchObject({
      environment: "production",
      script: { id: "seen", tags: ["a"], last_deployed_from: "api" },
    });
    const { tag } = service.result.default_environment.script;
    for (const name of ["seen", tag]) {
      const { result } = await call("GET", `${WORKERS}/workers/${name}`);
      expect(result).toMatchObject({
        id: tag,
        name: "seen",
        subdomain: {
          enabled: true,
          previews_enabled: true,
          url: "https://seen.workers.localhost:8443",
          preview_url_suffix: "-seen.workers.localhost:8443",
        },
      });
    }
    const listed = await call("GET", `${WORKERS}/scripts`);
    expect(listed.result).toMatchObject([{ id: "seen" }]);
    const searched = await call("GET", `${WORKERS}/scripts-search?name=ee`);
    expect(searched.result).toMatchObject([{ id: tag, script_name: "seen" }]);
    const content = await request("GET", `${worker("seen")}/content/v2`);
    expect(await content.text()).toContain("one");
    const environment = `${WORKERS}/services/seen/environments`;
    expect((await call("GET", `${environment}/production`)).result.script.id).toBe("seen");
    expect((await call("GET", `${environment}/staging`)).errors[0]?.code).toBe(10007);
    // It is in no dispatch namespace.
    const namespaces = await call("GET", `${WORKERS}/dispatch/namespaces`);
    expect(namespaces.result).toMatchObject([{ namespace_name: "production" }]);
    expect((await call("GET", scriptPath("seen", "workers"))).errors[0]?.code).toBe(100119);

    expect((await call("DELETE", `${WORKERS}/services/seen?force=false`)).success).toBe(true);
    expect((await call("GET", `${WORKERS}/services/seen`)).errors[0]?.code).toBe(10007);
    expect((await resolve("seen")).versionId).toBeNull();
  });

  it("stays off its host name if it wants to, and the edges are told", async () => {
    await put("hidden");
    await supervisorCalls();
    const set = await call("POST", `${worker("hidden")}/subdomain`, { enabled: false });
    expect(set.result).toEqual({ enabled: false, previews_enabled: false });
    const pushes = await supervisorCalls();
    const scripts = pushes.flatMap(({ body }) => (body as RoutingUpdate).scripts ?? []);
    expect(scripts).toMatchObject([{ namespace: "workers", script: "hidden" }]);
    const both = { enabled: true, previews_enabled: false };
    expect((await call("POST", `${worker("hidden")}/subdomain`, both)).result).toEqual(both);
    expect((await call("GET", `${worker("hidden")}/subdomain`)).result).toEqual(both);
    // A deploy does not change it.
    await put("hidden", "two");
    expect((await call("GET", `${worker("hidden")}/subdomain`)).result).toEqual(both);
    expect((await call("DELETE", `${worker("hidden")}/subdomain`)).result.enabled).toBe(false);
  });

  it("has script settings that make no version", async () => {
    const id = await put("settled");
    const patch = { tags: ["cf:service=x"], observability: { enabled: true }, logpush: false };
    const answer = await call("PATCH", `${worker("settled")}/script-settings`, patch);
    expect(answer.result).toMatchObject({
      tags: ["cf:service=x"],
      observability: { enabled: true },
    });
    expect((await resolve("settled")).versionId).toBe(id);
    const worse = await call("PATCH", `${worker("settled")}/script-settings`, { logpush: true });
    expect(worse.errors[0]?.message).toContain("Logpush");
    const updated = await call("PATCH", `${WORKERS}/workers/settled`, {
      tags: ["t"],
      subdomain: { previews_enabled: false },
    });
    expect(updated.result).toMatchObject({
      tags: ["t"],
      subdomain: { enabled: true, previews_enabled: false },
    });
    const renamed = await call("PATCH", `${WORKERS}/workers/settled`, { name: "other" });
    expect(renamed.errors[0]?.message).toContain("cannot be renamed");
  });

  it("is named to those who are about to delete what it uses", async () => {
    await put("used");
    const { id } = await registryOf(hub).accountNamespace(ACCOUNT);
    const service = { type: "service", name: "S", service: "used" };
    await put("user", "one", { bindings: [service] });
    await registryOf(hub).updateScript(id, "user", { tailConsumers: ["used"] });
    const tails = await call("GET", `${WORKERS}/tails/by-consumer/used`);
    expect(tails.result).toMatchObject([{ producer: { script: "user" } }]);
    const references = await call("GET", `${worker("used")}/references`);
    expect(references.result).toMatchObject({
      services: { incoming: [{ service: "user", environment: "production" }] },
      dispatch_outbounds: [],
    });
    const none = await call("GET", `${worker("user")}/references`);
    expect(none.result).toMatchObject({ services: { incoming: [] } });
  });

  it("cannot be created without a version", async () => {
    const answer = await call("POST", `${WORKERS}/workers`, { name: "empty" });
    expect(answer.errors[0]?.message).toContain("PUT /accounts/{account}/workers/scripts/{name}");
  });
});

describe("versions", () => {
  it.each([
    ["an account Worker", worker("many")],
    ["a user Worker", scriptPath("many")],
  ])("of %s are listed newest first, with an end to the pages", async (_, path) => {
    const ids: string[] = [];
    ids.push((await call("PUT", path, helloForm("0"))).result.deployment_id);
    for (const text of ["1", "2"]) {
      ids.unshift((await call("POST", `${path}/versions`, helloForm(text))).result.id);
    }
    const items = await pages(
      `${path}/versions?per_page=2`,
      ({ items }: { items: never[] }) => items,
    );
    expect(items).toMatchObject(ids.map((id, index) => ({ id, number: 3 - index })));
    const { result } = await call("GET", `${path}/versions/${ids[0]}`);
    expect(result).toMatchObject({
      id: ids[0],
      number: 3,
      metadata: { author_email: "operator@localhost", source: "api", has_preview: true },
      annotations: { "workers/triggered_by": "upload" },
      resources: { script_runtime: { compatibility_date: "2026-01-01" } },
    });
    const unknown = await call("GET", `${path}/versions/${crypto.randomUUID()}`);
    expect(unknown.status).toBe(404);
    const deployed = await call("POST", `${path}/deployments`, share([ids[0]!, 100]));
    expect(deployed.result.versions).toEqual([{ version_id: ids[0], percentage: 100 }]);
    expect((await call("GET", `${path}/deployments`)).result.deployments).toHaveLength(2);
  });

  it("that are only uploaded are no news for edges", async () => {
    await put("silent");
    await supervisorCalls();
    await failSupervisor("/routing", 1);
    await upload("silent", "two");
    await failSupervisor("/routing", 0);
    expect(await supervisorCalls()).toEqual([]);
  });

  it("need code that starts", async () => {
    await put("tried");
    const form = uploadForm({ main_module: "index.js", compatibility_date: "2026-01-01" }, [
      "index.js",
      `throw new Error("at the top");`,
      ES_MODULE,
    ]);
    const refused = await call("POST", `${worker("tried")}/versions`, form);
    expect(refused.errors).toMatchObject([{ code: 10021 }]);
    const { result } = await call("GET", `${worker("tried")}/versions`);
    expect(result.items).toHaveLength(1);
  });

  it("of a Worker that is not there are refused", async () => {
    const refused = await call("POST", `${worker("nobody")}/versions`, helloForm("x"));
    expect(refused.errors[0]?.code).toBe(10007);
  });

  it("get secrets that are not deployed", async () => {
    await put("later");
    const env = {
      KEY: { type: "secret_text", text: "needle" },
      OTHER: { type: "secret_text", text: "x" },
    };
    const latest = `${WORKERS}/workers/later/versions/latest`;
    const message = { "workers/message": "keys" };
    const first = await call("PATCH", latest, { env, annotations: message });
    expect(first.errors).toEqual([]);
    expect(first.result.annotations).toMatchObject(message);
    const second = await call("PATCH", latest, { env: { OTHER: null } });
    expect(second.result.resources.bindings).toEqual([{ type: "secret_text", name: "KEY" }]);
    expect(JSON.stringify(await call("GET", latest))).not.toContain("needle");
    expect((await call("GET", `${worker("later")}/secrets`)).result).toEqual([]);
    const missing = await call("PATCH", latest, { env: { OTHER: null } });
    expect(missing.errors[0]?.code).toBe(10056);
    const variable = { env: { VAR: { type: "plain_text", text: "x" } } };
    expect((await call("PATCH", latest, variable)).errors[0]?.message).toContain("only secrets");
    const listed = await call("GET", `${WORKERS}/workers/later/versions`);
    expect(listed.result).toHaveLength(3);
  });
});

describe("a change that would deploy the newest version unasked", () => {
  it("is refused with the code that wrangler knows", async () => {
    const first = await put("asked");
    await upload("asked", "two");
    const secret = { name: "A", text: "a", type: "secret_text" };
    const settings = { bindings: [{ type: "plain_text", name: "B", text: "b" }] };
    for (const answer of [
      await call("PUT", `${worker("asked")}/secrets`, secret),
      await call("PATCH", `${worker("asked")}/secrets-bulk`, { secrets: { A: secret } }),
      await call("PATCH", `${worker("asked")}/settings`, settings),
      await call("PUT", `${worker("asked")}/content`, helloForm("four")),
    ]) {
      expect(answer.errors[0]?.code).toBe(10215);
      expect(answer.errors[0]?.message).toContain("wrangler versions deploy");
    }
    expect((await resolve("asked")).versionId).toBe(first);
    const twin = scriptPath("asked");
    await deploy("asked", helloForm("one"));
    const { result } = await call("POST", `${twin}/versions`, helloForm("two"));
    // wrangler has no such command for user Workers.
    expect((await call("PUT", `${twin}/secrets`, secret)).errors[0]?.message).toContain(
      `skep rollback production/asked ${result.id}`,
    );
    // A deploy is asked for, and takes the place of both.
    await put("asked", "three");
    expect((await call("PUT", `${worker("asked")}/secrets`, secret)).success).toBe(true);
  });
});

describe("deployments", () => {
  it("are refused if they make no sense", async () => {
    const first = await put("odd");
    const second = await upload("odd", "two");
    const post = (body: unknown) => call("POST", `${worker("odd")}/deployments`, body as object);
    const bad = [
      share([first, 50]),
      share([first, 50], [first, 50]),
      share([first, 60], [second, 60]),
      share(),
    ];
    for (const body of bad) expect((await post(body)).errors[0]?.code).toBe(10021);
    const foreign = await post(share([crypto.randomUUID(), 100]));
    expect(foreign.status).toBe(404);
    const strategy = await post({ ...share([first, 100]), strategy: "random" });
    expect(strategy.errors[0]?.message).toContain("body.strategy");
    expect((await post(share([first, 1], [second, 99]))).success).toBe(true);
    expect((await resolve("odd")).versionId).toBe(second);
  });

  it("of the past can be read and deleted", async () => {
    await put("history");
    await put("history", "two");
    const path = `${worker("history")}/deployments`;
    const { result } = await call("GET", path);
    expect(result.items).toEqual(result.deployments);
    const [newest, oldest] = result.items as { id: string }[];
    expect((await call("GET", `${path}/${oldest?.id}`)).result).toEqual(oldest);
    expect((await call("DELETE", `${path}/${newest?.id}`)).status).toBe(400);
    expect((await call("DELETE", `${path}/${oldest?.id}`)).success).toBe(true);
    expect((await call("GET", `${path}/${oldest?.id}`)).status).toBe(404);
    expect(await pages(path, ({ items }: { items: never[] }) => items)).toEqual([newest]);
  });

  it("that bring older secrets back are confirmed first", async () => {
    const secret = (text: string) => ({ name: "A", text, type: "secret_text" });
    const first = await put("turned");
    await call("PUT", `${worker("turned")}/secrets`, secret("a"));
    const { id: withSecret } = (await call("GET", `${worker("turned")}/versions`)).result.items[0];
    // The same text, sealed anew, is no change.
    await call("PUT", `${worker("turned")}/secrets`, secret("a"));
    const path = `${worker("turned")}/deployments`;
    expect((await call("POST", path, share([withSecret, 100]))).success).toBe(true);
    const refused = await call("POST", path, share([first, 100]));
    expect(refused.errors[0]).toMatchObject({
      code: 10220,
      message: expect.stringMatching(/The following secrets have changed: A$/) as string,
    });
    expect((await resolve("turned")).versionId).toBe(withSecret);
    // A share of the traffic can be taken back at any time.
    expect((await call("POST", path, share([first, 10], [withSecret, 90]))).success).toBe(true);
    expect((await call("POST", path, share([first, 100]))).success).toBe(true);
    expect((await call("POST", path, share([withSecret, 100]))).success).toBe(true);
    expect((await call("POST", `${path}?force=true`, share([first, 100]))).success).toBe(true);
    expect((await resolve("turned")).versionId).toBe(first);
  });
});

describe("what is not there", () => {
  it.each([
    [`/workers/subdomain`, { subdomain: "workers" }],
    [`/workers/account-settings`, { default_usage_model: "standard", green_compute: false }],
    [`/workers/durable_objects/namespaces?per_page=1000&page=1`, []],
  ])("GET %s", async (path, result) => {
    expect(await call("GET", `/accounts/${ACCOUNT}${path}`)).toMatchObject({
      success: true,
      result,
    });
  });

  it.each([
    ["GET", `/workflows/mine`, 10200],
    ["GET", `/hyperdrive/configs`, 930006],
    ["GET", `/workers/subdomain/edge-preview`, 930006],
    ["PUT", `/workers/subdomain`, 930006],
  ])("%s %s is answered %d", async (method, path, code) => {
    const answer = await call(
      method,
      `/accounts/${ACCOUNT}${path}`,
      method === "GET" ? undefined : {},
    );
    expect(answer.errors[0]?.code).toBe(code);
  });

  it("variables of Previews are refused, and none are no error", async () => {
    await put("previewed");
    const path = `/accounts/${ACCOUNT}/workers/workers/previewed`;
    expect((await call("PATCH", path, { previews_base_config: {} })).success).toBe(true);
    const env = { KEY: { type: "secret_text", text: "x" } };
    const refused = await call("PATCH", path, { previews_base_config: { env } });
    expect(refused.errors[0]).toMatchObject({
      code: 930006,
      message: expect.stringMatching("^Skep has no Previews of branches") as string,
    });
  });
});

describe("fifty deploys at once", () => {
  const MANY = 50;
  const numbers = Array.from({ length: MANY }, (_, n) => n);

  it("of different Workers are all there", async () => {
    const ids = await Promise.all(numbers.map((n) => put(`crowd-${n}`, `text ${n}`)));
    for (const n of numbers) {
      expect((await resolve(`crowd-${n}`)).versionId).toBe(ids[n]);
      const { result } = await call("GET", `${worker(`crowd-${n}`)}/versions`);
      expect(result.items).toMatchObject([{ id: ids[n], number: 1 }]);
    }
  });

  it("of one Worker are put in an order, lose no version, and the last one serves", async () => {
    await supervisorCalls();
    const ids = await Promise.all(numbers.map((n) => put("crowd", `text ${n}`)));
    const versions = (await pages(
      `${worker("crowd")}/versions?per_page=20`,
      ({ items }: { items: never[] }) => items,
    )) as { id: string; number: number }[];
    expect(versions.map(({ number }) => number)).toEqual(numbers.map((n) => MANY - n));
    expect(new Set(versions.map(({ id }) => id))).toEqual(new Set(ids));
    const deployments = (await pages(
      `${worker("crowd")}/deployments`,
      ({ items }: { items: never[] }) => items,
    )) as ReturnType<typeof share>[];
    expect(deployments.map((deployment) => deployment.versions[0]?.version_id)).toEqual(
      versions.map(({ id }) => id),
    );
    // What edges were told last is what is true.
    const pushes = await supervisorCalls();
    const told = pushes
      .flatMap(({ body }) => (body as RoutingUpdate).scripts ?? [])
      .filter(({ script }) => script === "crowd")
      .toSorted((a, b) => a.generation - b.generation);
    expect(told.at(-1)?.versionId).toBe(versions[0]?.id);
    expect((await resolve("crowd")).versionId).toBe(versions[0]?.id);
  });

  it("of one Worker, with secrets written in between, keep every secret", async () => {
    await put("mixed");
    const answers = await Promise.all(
      numbers.map((n) =>
        n % 2 === 0
          ? call("PUT", worker("mixed"), helloForm(`text ${n}`))
          : call("PUT", `${worker("mixed")}/secrets`, {
              name: `S${n}`,
              text: "x",
              type: "secret_text",
            }),
      ),
    );
    expect(answers.flatMap(({ errors }) => errors)).toEqual([]);
    const { result } = await call("GET", `${worker("mixed")}/versions`);
    expect(result.items).toHaveLength(MANY + 1);
    const secrets = await call("GET", `${worker("mixed")}/secrets`);
    expect(secrets.result).toHaveLength(MANY / 2);
  });
});

describe("a user Worker", () => {
  it("of the same name as an account Worker is another one", async () => {
    const id = await put("twin", "account");
    const { result } = await deploy("twin", helloForm("user"));
    expect((await resolve("twin")).versionId).toBe(id);
    await call("DELETE", worker("twin"));
    expect((await call("GET", `${scriptPath("twin")}/versions`)).result.items).toMatchObject([
      { id: result.deployment_id },
    ]);
  });
});
