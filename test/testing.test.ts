/** `skep/testing` beyond the contract: what its options do, and that the package's entry point works. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import {
  convertV4MiniflareOptions,
  Miniflare,
  Response as MiniflareResponse,
  type V4FetchHandler,
} from "miniflare";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import {
  deploy,
  dispatchNamespaceEnv,
  dispatchNamespaces,
  remove,
  type DispatchNamespaceOptions,
  type Script,
} from "../src/testing/index.ts";

/** Somebody else's dispatcher: `/<script>/<tenant>`, the tenant being an outbound parameter. */
const DISPATCHER = `
  export default {
    async fetch(request, env) {
      const [, script, tenant] = new URL(request.url).pathname.split("/");
      const options = tenant ? { outbound: { tenant } } : undefined;
      try {
        return await env.USERS.get(script, {}, options).fetch(request);
      } catch ({ message, remote }) {
        return Response.json({ message, remote }, { status: 500 });
      }
    },
  };`;

const FETCHES = `export default { fetch: () => fetch("http://elsewhere.example/data") };`;

let miniflare: Miniflare | undefined;
afterEach(() => miniflare?.dispose());

function start(
  options: Omit<DispatchNamespaceOptions, "namespace">,
  more: { compatibilityDate?: string; outboundService?: V4FetchHandler } = {},
): void {
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: DISPATCHER,
      compatibilityDate: "2026-11-01",
      ...more,
      // User Workers that throw are reported at length otherwise.
      handleStructuredLogs: () => {},
      ...dispatchNamespaces({ USERS: { namespace: "users", ...options } }),
    }),
  );
}

async function get(path: string): Promise<string> {
  const response = await miniflare?.dispatchFetch(`http://localhost${path}`);
  return (await response?.text()) ?? "";
}

async function binding(): Promise<object> {
  const { USERS } = (await miniflare?.getBindings<{ USERS: object }>()) ?? {};
  if (USERS === undefined) throw new Error("there is no binding USERS");
  return USERS;
}

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "skep-testing-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

describe("scripts", () => {
  test("change while Miniflare runs, and the next request sees it", async () => {
    start({ scripts: { hello: `export default { fetch: () => new Response("1") }` } });
    expect(await get("/hello")).toBe("1");
    await deploy(await binding(), "hello", `export default { fetch: () => new Response("2") }`);
    expect(await get("/hello")).toBe("2");
    await remove(await binding(), "hello");
    expect(JSON.parse(await get("/hello"))).toEqual({
      message: expect.stringMatching(/^Worker not found.*"hello".*"users"/) as string,
    });
  });

  test("are bundled if they are files, their assets with them", async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, "greeting.txt"), "good day");
    await writeFile(join(directory, "name.ts"), `export const name: string = "Ada";`);
    const source = `
      import greeting from "./greeting.txt";
      import { name } from "./name.ts";
      export default { fetch: (_, env) => new Response([greeting, name, env.MARK].join(" ")) };`;
    await writeFile(join(directory, "main.ts"), source);
    const main = join(directory, "main.ts");
    const bindings = { MARK: "!" };
    start({ scripts: { path: { main, bindings }, url: { main: pathToFileURL(main), bindings } } });
    expect(await get("/path")).toBe("good day Ada !");
    expect(await get("/url")).toBe("good day Ada !");
  });

  test("that fail at top level reject like a function's own error, again and again", async () => {
    start({ scripts: { broken: `throw new Error("out of wax"); export default {};` } });
    for (let n = 0; n < 2; n++) {
      const { message, remote } = JSON.parse(await get("/broken")) as Record<string, unknown>;
      expect(message).toMatch(/^Failed to start Worker[^]*out of wax/);
      expect(remote).toBe(true);
    }
    await deploy(await binding(), "broken", `export default { fetch: () => new Response("ok") }`);
    expect(await get("/broken")).toBe("ok");
  });

  test.each<[string, Script, RegExp]>([
    ["without a main module", { modules: {} }, /script "bad".*main module/],
    ["with another main module", { modules: { "a.js": "" }, mainModule: "b.js" }, /"b\.js"/],
    ["with a module of no type", { modules: { "a.js": "", "notes.md": "" } }, /"notes\.md".*type/],
  ])("%s are refused at once", (_, script, message) => {
    expect(() => start({ scripts: { bad: script } })).toThrow(message);
  });

  test("cannot be deployed to a binding that is not ours", async () => {
    await expect(deploy({}, "hello", "")).rejects.toThrow("dispatchNamespaces()");
    await expect(remove({}, "hello")).rejects.toThrow("dispatchNamespaces()");
  });
});

describe("fetch of a user Worker", () => {
  const outboundService: V4FetchHandler = (request) =>
    new MiniflareResponse(`${request.url} for ${request.headers.get("x-tenant") ?? "nobody"}`);
  const outbound = {
    worker: {
      modules: {
        "index.js": `
          export default {
            fetch(request, env) {
              const headers = new Headers(request.headers);
              headers.set("x-tenant", env.tenant ?? env.FALLBACK);
              return fetch(new Request(request, { headers }));
            },
          };`,
      },
      bindings: { FALLBACK: "everyone" },
    },
    parameters: ["tenant"],
  };

  test("goes where the dispatcher's would", async () => {
    start({ scripts: { fetches: FETCHES } }, { outboundService });
    expect(await get("/fetches")).toBe("http://elsewhere.example/data for nobody");
  });

  test("goes through the outbound Worker, with each call's own parameters", async () => {
    const options = { scripts: { fetches: FETCHES }, outbound };
    start(options, { outboundService });
    for (const tenant of ["acme", "umbrella", "acme"]) {
      expect(await get(`/fetches/${tenant}`)).toBe(`http://elsewhere.example/data for ${tenant}`);
    }
    expect(await get("/fetches")).toBe("http://elsewhere.example/data for everyone");
  });

  test("has no parameters but the declared ones", async () => {
    start({ scripts: { fetches: FETCHES }, outbound: { ...outbound, parameters: ["customer"] } });
    expect(await get("/fetches/acme")).toMatch(
      /parameter \\"tenant\\".*declares only \[customer\]/,
    );
  });
});

test("works in the native options of Miniflare 5 too", async () => {
  const hello = `export default { fetch: () => new Response("hello") }`;
  miniflare = new Miniflare({
    workers: [
      {
        config: {
          name: "dispatcher",
          compatibilityDate: "2026-11-01",
          env: dispatchNamespaceEnv({ USERS: { namespace: "users", scripts: { hello } } }),
          manifest: {
            mainModule: "index.js",
            modules: { "index.js": { type: "esm", contents: DISPATCHER } },
          },
        },
      },
    ],
  });
  expect(await get("/hello")).toBe("hello");
});

test("tells when the dispatcher's compatibility date is too old", async () => {
  start({ scripts: {} }, { compatibilityDate: "2024-01-01" });
  expect(await get("/hello")).toContain("compatibility date is 2024-04-03 or later");
});

test("the package's entry point works in plain Node, as built", async () => {
  const program = `
    import { convertV4MiniflareOptions, Miniflare } from "miniflare";
    import { dispatchNamespaces } from "skep/testing";
    const hello = "export default { fetch: () => new Response('hello') }";
    const miniflare = new Miniflare(convertV4MiniflareOptions({
      modules: true, compatibilityDate: "2026-11-01",
      script: "export default { fetch: (request, env) => env.USERS.get('hello').fetch(request) }",
      ...dispatchNamespaces({ USERS: { namespace: "users", scripts: { hello } } }),
    }));
    console.log(await (await miniflare.dispatchFetch("http://localhost/")).text());
    await miniflare.dispose();`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--eval", program],
    { cwd: join(import.meta.dirname, "..") },
  );
  expect(stdout).toBe("hello\n");
});
