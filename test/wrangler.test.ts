/**
 * The unmodified wrangler against the real platform: what a tenant types, and what is served afterwards.
 * One platform for the file; each test has a namespace or script name of its own.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import wranglerPackage from "wrangler/package.json" with { type: "json" };
import { startPlatform, type Platform } from "./platform.ts";
import { createProject, wrangler } from "./wrangler.ts";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
});

afterAll(async () => {
  await platform.stop();
});

function run(directory: string, ...args: string[]) {
  return wrangler(directory, platform.wranglerEnv, ...args);
}

/** Writes a project and deploys it into `production`. */
async function deploy(name: string, files: Record<string, string | Uint8Array>, toml = "") {
  const directory = await createProject({
    "wrangler.toml": `name = "${name}"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n${toml}`,
    ...files,
  });
  return run(directory, "deploy", "--dispatch-namespace", "production");
}

async function get(script: string, path = "/"): Promise<string> {
  return (await platform.fetch(script, path)).text();
}

describe(`wrangler ${wranglerPackage.version}`, { timeout: 120_000 }, () => {
  test("whoami shows the account", async () => {
    const { exitCode, output } = await run(await createProject({}), "whoami");
    expect(output).toContain(platform.wranglerEnv.CLOUDFLARE_ACCOUNT_ID);
    expect(exitCode).toBe(0);
  });

  test.each([["whoami"], ["dispatch-namespace", "list"], ["deployments", "list", "--name", "a"]])(
    "tells in one message that the token is wrong: %s",
    async (...args) => {
      const env = { ...platform.wranglerEnv, CLOUDFLARE_API_TOKEN: "skep_revoked" };
      const { exitCode, output } = await wrangler(await createProject({}), env, ...args);
      expect(output).toContain("Invalid access token: it is wrong or was revoked");
      expect(output).toContain("[code: 9109]");
      expect(output).not.toMatch(/handler also failed|^ {4}at /m);
      expect(exitCode).toBe(1);
    },
  );

  test("dispatch-namespace create, list, get, rename and delete", async () => {
    const directory = await createProject({});
    const step = async (...args: string[]) => {
      const { exitCode, output } = await run(directory, "dispatch-namespace", ...args);
      expect(exitCode, output).toBe(0);
      return output;
    };
    await step("create", "staging");
    expect(await step("list")).toContain("staging");
    expect(await step("get", "staging")).toContain("namespace_id");
    await step("rename", "staging", "preview");
    const renamed = await step("list");
    expect(renamed).toContain("preview");
    expect(renamed).not.toContain("staging");
    await step("delete", "preview");
    expect(await step("list")).not.toContain("preview");
  });

  test("deploys ES modules with text, wasm and data modules, vars and JSON vars", async () => {
    // (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
    const wasm = Uint8Array.from([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97,
      100, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11,
    ]);
    const { exitCode, output } = await deploy(
      "modules",
      {
        "index.js": `
          import text from "./greeting.txt";
          import add from "./add.wasm";
          import data from "./payload.bin";
          export default {
            async fetch(request, env) {
              const { exports } = await WebAssembly.instantiate(add);
              const bytes = [...new Uint8Array(data)];
              return Response.json({ text, sum: exports.add(2, 3), bytes, plain: env.PLAIN, nested: env.NESTED });
            },
          };`,
        "greeting.txt": "good morning",
        "add.wasm": wasm,
        "payload.bin": Uint8Array.from([0, 255, 128]),
      },
      `[vars]\nPLAIN = "text"\nNESTED = { list = [1, 2], deep = { ok = true } }`,
    );
    expect(exitCode, output).toBe(0);
    expect(JSON.parse(await get("modules"))).toEqual({
      text: "good morning",
      sum: 5,
      bytes: [0, 255, 128],
      plain: "text",
      nested: { list: [1, 2], deep: { ok: true } },
    });
  });

  test("a second deploy serves the very next request and keeps the secrets", async () => {
    const source = (version: number) => ({
      "index.js": `export default { fetch: (request, env) => new Response("v${version} " + env.SECRET) };`,
    });
    expect((await deploy("secretive", source(1))).exitCode).toBe(0);
    expect(await get("secretive")).toBe("v1 undefined");
    const put = await platform.api(
      "PUT",
      "/workers/dispatch/namespaces/production/scripts/secretive/secrets",
      { name: "SECRET", text: "hush", type: "secret_text" },
    );
    expect(put.status).toBe(200);
    expect(await get("secretive")).toBe("v1 hush");
    expect((await deploy("secretive", source(2))).exitCode).toBe(0);
    expect(await get("secretive")).toBe("v2 hush");
  });

  test("honours compatibility dates and flags", async () => {
    const { exitCode, output } = await deploy(
      "flags",
      {
        "index.js": `
          import { Buffer } from "node:buffer";
          export default { fetch: () => new Response(Buffer.from("c2tlcA==", "base64").toString()) };`,
      },
      `compatibility_flags = ["nodejs_compat"]`,
    );
    expect(exitCode, output).toBe(0);
    expect(await get("flags")).toBe("skep");
  });

  test("deploys service-worker syntax with its bindings as globals", async () => {
    const { exitCode, output } = await deploy(
      "classic",
      {
        "index.js": `addEventListener("fetch", (event) => {
          event.respondWith(new Response(GREETING + " " + new URL(event.request.url).pathname));
        });`,
      },
      `[vars]\nGREETING = "hello"`,
    );
    expect(exitCode, output).toBe(0);
    expect(await get("classic", "/there")).toBe("hello /there");
  });

  describe("refuses, and the old version keeps serving:", () => {
    const good = { "index.js": `export default { fetch: () => new Response("good") };` };

    test.each([
      [
        "code that throws at top level",
        { "index.js": `throw new Error("at the top"); export default { fetch() {} };` },
        "",
        /at the top[^]*10021/,
      ],
      [
        "a top-level loop",
        { "index.js": `while (true) {} export default { fetch() {} };` },
        "",
        /10021/,
      ],
      [
        "a binding type that is not supported yet, by name",
        good,
        `[[kv_namespaces]]\nbinding = "CACHE"\nid = "0123456789abcdef0123456789abcdef"`,
        /kv_namespace/,
      ],
    ])("%s", async (title, files, toml, message) => {
      const name = `refused-${title.replace(/[^a-z]+/g, "-").slice(0, 20)}`;
      expect((await deploy(name, good)).exitCode).toBe(0);
      const { exitCode, output } = await deploy(name, files, toml);
      expect(output).toMatch(message);
      expect(exitCode).not.toBe(0);
      expect(await get(name)).toBe("good");
    });

    test("a namespace that does not exist", async () => {
      const directory = await createProject({
        "wrangler.toml": `name = "lost"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n`,
        ...good,
      });
      const { exitCode, output } = await run(
        directory,
        "deploy",
        "--dispatch-namespace",
        "nowhere",
      );
      expect(output).toContain("nowhere");
      expect(exitCode).not.toBe(0);
    });
  });
});
