import { beforeAll, describe, expect, it } from "vitest";
import { decodeBundle } from "../protocol/bundle.ts";
import type { ScriptState } from "../protocol/routing.ts";
import {
  adminGate,
  bootstrap,
  call,
  deploy,
  edgeGate,
  ES_MODULE,
  failSupervisor,
  helloForm,
  NAMESPACES,
  ROUTES,
  scriptPath,
  supervisorCalls,
  uploadForm,
} from "./test/api.ts";

let firstBootstrap: { created: boolean };

beforeAll(async () => {
  firstBootstrap = await bootstrap();
});

async function resolve(script: string, namespace = "production"): Promise<ScriptState> {
  return (
    await edgeGate.fetch(`http://hub/resolve?namespace=${namespace}&script=${script}`)
  ).json();
}

describe("bootstrap", () => {
  it("creates the account once, and a namespace with it", async () => {
    expect(firstBootstrap).toEqual({ created: true, missingKeys: [] });
    expect(await bootstrap("other")).toEqual({ created: false, missingKeys: [] });
    const { result } = await call("GET", NAMESPACES);
    expect(result.map((namespace: { namespace_name: string }) => namespace.namespace_name)).toEqual(
      ["production"],
    );
  });
});

describe("what an edge sees", () => {
  it("knows nothing of a script that was never deployed", async () => {
    expect(await resolve("absent")).toMatchObject({ script: "absent", versionId: null });
  });

  it("gets the bundle of a deploy with its secrets in the clear", async () => {
    const form = uploadForm(
      {
        main_module: "index.js",
        compatibility_date: "2026-01-01",
        compatibility_flags: ["nodejs_compat"],
        bindings: [
          { type: "plain_text", name: "GREETING", text: "hello" },
          { type: "json", name: "LIMITS", json: { depth: [1, { a: null }] } },
          { type: "secret_text", name: "KEY", text: "s3cret" },
        ],
      },
      [
        "index.js",
        `import note from "./note.txt"; export default { fetch: () => new Response(note) };`,
        ES_MODULE,
      ],
      ["./note.txt", "a note", "text/plain"],
    );
    const deployed = await deploy("bundled", form);
    expect(deployed.errors).toEqual([]);
    const { versionId } = await resolve("bundled");
    expect(versionId).toBe(deployed.result.deployment_id);
    const response = await edgeGate.fetch(`http://hub/bundles/${versionId}`);
    const bundle = decodeBundle(new Uint8Array(await response.arrayBuffer()));
    expect(bundle).toMatchObject({
      versionId,
      compatibilityDate: "2026-01-01",
      compatibilityFlags: ["nodejs_compat"],
      syntax: "modules",
      mainModule: "index.js",
      env: {
        GREETING: { type: "value", value: "hello" },
        LIMITS: { type: "value", value: { depth: [1, { a: null }] } },
        KEY: { type: "value", value: "s3cret" },
      },
    });
    expect(bundle.modules.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "index.js esm",
      "./note.txt text",
    ]);
  });

  it("answers 404 for a version that does not exist", async () => {
    const response = await edgeGate.fetch(`http://hub/bundles/${crypto.randomUUID()}`);
    expect(response.status).toBe(404);
  });
});

describe("pushes to the edges", () => {
  it("come before the deploy is answered, and carry the new version", async () => {
    await supervisorCalls();
    const { result } = await deploy("pushed", helloForm("one"));
    const [push, ...more] = await supervisorCalls();
    expect(more).toEqual([]);
    expect(push).toMatchObject({
      path: "/routing",
      body: {
        scripts: [{ namespace: "production", script: "pushed", versionId: result.deployment_id }],
      },
    });
  });

  it("say that a deleted script is gone", async () => {
    await deploy("doomed", helloForm("one"));
    const before = await resolve("doomed");
    await supervisorCalls();
    expect((await call("DELETE", `${scriptPath("doomed")}?force=true`)).success).toBe(true);
    const [push] = await supervisorCalls();
    expect(push?.body).toMatchObject({ scripts: [{ script: "doomed", versionId: null }] });
    expect((await resolve("doomed")).generation).toBeGreaterThan(before.generation);
  });

  it("that fail leave the change stored, and are made up for by the next one", async () => {
    await failSupervisor("/routing", 1);
    const answer = await deploy("unconfirmed", helloForm("one"));
    expect(answer.status).toBe(503);
    expect(answer.errors[0]?.message).toMatch(/stored, but not confirmed.*told to fail/);
    expect((await resolve("unconfirmed")).versionId).not.toBeNull();
    await supervisorCalls();
    await deploy("another", helloForm("one"));
    const [push] = await supervisorCalls();
    expect(push?.body).toMatchObject({
      scripts: [{ script: "another" }, { script: "unconfirmed" }],
    });
  });

  it("carry the whole route table when a route changes", async () => {
    await deploy("routed", helloForm("one"));
    await supervisorCalls();
    const created = await call("POST", ROUTES, {
      pattern: "Shop.example.com/*",
      namespace: "production",
      script: "routed",
    });
    expect(created.result).toMatchObject({ pattern: "shop.example.com/*", script: "routed" });
    const calls = await supervisorCalls();
    expect(calls.map(({ path }) => path)).toEqual(["/routing", "/certificate"]);
    expect(calls[0]?.body).toMatchObject({ routes: { routes: [created.result] } });
    const seen = await edgeGate.fetch("http://hub/routes");
    expect(await seen.json()).toEqual((calls[0]?.body as { routes: unknown } | undefined)?.routes);
    await call("DELETE", `${ROUTES}/${created.result.id}`);
  });
});

describe("hostnames", () => {
  it("cover the base domain, each namespace and the hosts of custom routes", async () => {
    await call("POST", NAMESPACES, { name: "staging" });
    const ids: string[] = [];
    for (const pattern of [
      "shop.example.com/*",
      "*.tenants.example/api/*",
      "*bare.example/*",
      "*/*",
    ]) {
      const { result } = await call("POST", ROUTES, {
        pattern,
        namespace: "staging",
        script: null,
      });
      ids.push(result.id);
    }
    const response = await adminGate.fetch("http://hub/hostnames");
    expect(await response.json()).toEqual([
      "localhost",
      "*.localhost",
      "*.production.localhost",
      "*.staging.localhost",
      "*.workers.localhost",
      "*.tenants.example",
      "bare.example",
      "*.bare.example",
      "shop.example.com",
    ]);
    for (const id of ids) await call("DELETE", `${ROUTES}/${id}`);
  });
});
