/**
 * Projects that prove the honoured rows of the table: each is deployed once with the real wrangler, asked what
 * it sees, and every key that it proves names what must be there because of it.
 */
import type { Platform } from "../platform.ts";

export interface Project {
  readonly config: object;
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly args?: readonly string[];
  /** Its name if it is not the project's. */
  readonly script?: string;
  /** `path`: the script's, in the API. */
  readonly before?: (platform: Platform, path: string) => Promise<void>;
  /** Asked for by these names, too. */
  readonly hosts?: readonly string[];
  /** Proves only what is of account Workers. */
  readonly ofAccount?: true;
  /** Key of the configuration -> what is `Seen` because of it. */
  readonly proves: Readonly<Record<string, (seen: Seen) => readonly [got: unknown, want: unknown]>>;
}

export interface Seen {
  /** What the function answers, as JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly answer: any;
  /** What the function answers under these names. */
  readonly hosts: Readonly<Record<string, string>>;
  /** Text of each stored module by its name. */
  readonly modules: ReadonlyMap<string, string>;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly settings: any;
  /** Of account Workers; undefined for others. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly subdomain: any;
  /** Limits in force. */
  readonly limits: Readonly<Record<string, number>>;
}

/** (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)) */
const ADD_WASM = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100,
  100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11,
]);

/** The name that bundlers give in place of this one. */
const LONG_NAME = "aNameThatOnlyMinifyingShortens";

async function upload(
  platform: Platform,
  path: string,
  source: string,
  metadata: object = {},
): Promise<void> {
  const form = new FormData();
  const all = { main_module: "index.js", compatibility_date: "2026-11-01", ...metadata };
  form.set("metadata", JSON.stringify(all));
  const type = "application/javascript+module";
  form.set("index.js", new File([source], "index.js", { type }));
  const response = await platform.api("PUT", path, form);
  if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
}

/** The path of another script beside this one. */
function beside(path: string, name: string): string {
  return path.replace(/[^/]+$/, name);
}

function datasetIn({ bindings }: { bindings: { type: string; dataset?: string }[] }) {
  return bindings.find(({ type }) => type === "analytics_engine")?.dataset;
}

const HELLO = `export default { fetch: () => Response.json("hello") };`;

export const PROJECTS: Readonly<Record<string, Project>> = {
  bundled: {
    config: {
      main: "src/index.tsx",
      compatibility_flags: ["url_original"],
      alias: { "no-such-package": "./src/aliased.js" },
      define: { DEFINED: '"by define"' },
      minify: true,
      keep_names: false,
      tsconfig: "tsconfig.of-this-test.json",
      jsx_factory: "element",
      jsx_fragment: "'fragment'",
      build: { command: "node make.js", cwd: "tools" },
      rules: [{ type: "Text", globs: ["**/*.tpl"], fallthrough: true }],
      preserve_file_names: true,
      upload_source_maps: true,
      vars: { PLAIN: "text", NESTED: { list: [1, 2] } },
      version_metadata: { binding: "VERSION" },
      limits: { cpu_ms: 40, subrequests: 7 },
      unsafe: { bindings: [{ name: "UNSAFE", type: "plain_text", text: "unsafe" }] },
    },
    files: {
      "src/index.tsx": `
        import { aliased } from "no-such-package";
        import { mapped } from "@/mapped";
        import { built } from "./built.js";
        import template from "./page.tpl";
        import text from "./default.txt";
        function element(tag, props, ...children) { return { tag, children }; }
        function ${LONG_NAME}() { return 1; }
        export default {
          fetch(request, env) {
            return Response.json({
              aliased, mapped, built, template, text, env,
              defined: DEFINED,
              functionName: ${LONG_NAME}.name,
              jsx: <><p>1</p></>,
              originalUrl: globalThis.Cloudflare.compatibilityFlags.url_standard === false,
            });
          },
        };`,
      "src/aliased.js": `export const aliased = "by alias";`,
      "src/mapped.js": `export const mapped = "by tsconfig";`,
      "src/page.tpl": "by rules",
      "src/default.txt": "by fallthrough",
      "tsconfig.of-this-test.json": `{ "compilerOptions": { "paths": { "@/*": ["./src/*"] } } }`,
      "tools/make.js": `require("node:fs").writeFileSync("../src/built.js", 'export const built = "by build";');`,
    },
    proves: {
      name: ({ answer }) => [answer.env.PLAIN, "text"],
      main: ({ modules }) => [modules.has("index.js"), true],
      // No other part of the environment names the account.
      account_id: ({ answer }) => [answer.env.PLAIN, "text"],
      compatibility_date: ({ settings }) => [settings.compatibility_date, "2026-11-01"],
      compatibility_flags: ({ answer }) => [answer.originalUrl, true],
      alias: ({ answer }) => [answer.aliased, "by alias"],
      define: ({ answer }) => [answer.defined, "by define"],
      minify: ({ modules }) => [modules.get("index.js")?.includes(LONG_NAME), false],
      keep_names: ({ answer }) => [answer.functionName === LONG_NAME, false],
      tsconfig: ({ answer }) => [answer.mapped, "by tsconfig"],
      jsx_factory: ({ answer }) => [answer.jsx.children, [{ tag: "p", children: ["1"] }]],
      jsx_fragment: ({ answer }) => [answer.jsx.tag, "fragment"],
      build: ({ answer }) => [answer.built, "by build"],
      "build.command": ({ answer }) => [answer.built, "by build"],
      "build.cwd": ({ answer }) => [answer.built, "by build"],
      rules: ({ answer }) => [answer.template, "by rules"],
      "rules[].type": ({ answer }) => [answer.template, "by rules"],
      "rules[].globs": ({ answer }) => [answer.template, "by rules"],
      "rules[].fallthrough": ({ answer }) => [answer.text, "by fallthrough"],
      preserve_file_names: ({ modules }) => [modules.get("./page.tpl"), "by rules"],
      upload_source_maps: ({ modules }) => [modules.has("index.js.map"), true],
      vars: ({ answer }) => [answer.env.NESTED, { list: [1, 2] }],
      version_metadata: ({ answer }) => [typeof answer.env.VERSION.id, "string"],
      "version_metadata.binding": ({ answer }) => [Object.keys(answer.env.VERSION).length, 3],
      limits: ({ limits }) => [limits["cpu_ms"], 40],
      "limits.cpu_ms": ({ limits }) => [limits["cpu_ms"], 40],
      "limits.subrequests": ({ limits }) => [limits["subrequests"], 7],
      unsafe: ({ answer }) => [answer.env.UNSAFE, "unsafe"],
      "unsafe.bindings": ({ answer }) => [answer.env.UNSAFE, "unsafe"],
      "unsafe.bindings[].name": ({ answer }) => [answer.env.UNSAFE, "unsafe"],
      "unsafe.bindings[].type": ({ answer }) => [answer.env.UNSAFE, "unsafe"],
    },
  },

  unbundled: {
    config: {
      main: "src/worker/index.js",
      no_bundle: true,
      find_additional_modules: true,
      base_dir: "src",
      rules: [{ type: "ESModule", globs: ["**/*.js"] }],
    },
    files: {
      "src/worker/index.js": `
        import { more } from "./more.js";
        // A comment that a bundler drops.
        export default {
          fetch() {
            return Response.json({ more });
          },
        };`,
      "src/more.js": `export const more = "found";`,
    },
    proves: {
      no_bundle: ({ modules }) => [
        modules.get("index.js")?.includes("// A comment that a bundler drops."),
        true,
      ],
      find_additional_modules: ({ answer }) => [answer.more, "found"],
      base_dir: ({ modules }) => [[...modules.keys()].sort(), ["index.js", "more.js"]],
    },
  },

  "service-worker": {
    config: {
      main: "index.js",
      wasm_modules: { WASM: "add.wasm" },
      text_blobs: { TEXT: "note.txt" },
      data_blobs: { DATA: "data.bin" },
    },
    files: {
      "index.js": `
        addEventListener("fetch", (event) => {
          const { exports } = new WebAssembly.Instance(WASM);
          const bytes = [...new Uint8Array(DATA)];
          event.respondWith(Response.json({ sum: exports.add(2, 3), text: TEXT, bytes }));
        });`,
      "add.wasm": ADD_WASM,
      "note.txt": "a note",
      "data.bin": Uint8Array.of(1, 2, 255),
    },
    proves: {
      wasm_modules: ({ answer }) => [answer.sum, 5],
      text_blobs: ({ answer }) => [answer.text, "a note"],
      data_blobs: ({ answer }) => [answer.bytes, [1, 2, 255]],
    },
  },

  environments: {
    config: {
      main: "index.js",
      vars: { WHICH: "top" },
      env: { staging: { vars: { WHICH: "staging" } } },
    },
    script: "environments-staging",
    args: ["--env", "staging"],
    files: {
      "index.js": `export default { fetch: (request, env) => Response.json({ which: env.WHICH }) };`,
    },
    proves: { env: ({ answer }) => [answer.which, "staging"] },
  },

  bound: {
    config: {
      main: "index.js",
      services: [
        { binding: "CALLEE", service: "bound-callee" },
        { binding: "NAMED", service: "bound-callee", entrypoint: "Named", props: { who: "me" } },
      ],
      ratelimits: [{ name: "LIMIT", namespace_id: "7", simple: { limit: 2, period: 60 } }],
      analytics_engine_datasets: [{ binding: "POINTS", dataset: "configured" }],
    },
    before: (platform, path) =>
      upload(
        platform,
        beside(path, "bound-callee"),
        `import { WorkerEntrypoint } from "cloudflare:workers";
        export default { fetch: () => new Response("callee") };
        export class Named extends WorkerEntrypoint { who() { return this.ctx.props.who; } }`,
      ),
    files: {
      "index.js": `
        export default {
          async fetch(request, env) {
            const limited = [];
            for (const _ of [1, 2, 3]) limited.push((await env.LIMIT.limit({ key: "k" })).success);
            env.POINTS.writeDataPoint({ blobs: ["b"], doubles: [1] });
            const callee = await (await env.CALLEE.fetch("http://callee/")).text();
            return Response.json({ limited, callee, who: await env.NAMED.who() });
          },
        };`,
    },
    proves: {
      services: ({ answer }) => [answer.callee, "callee"],
      "services[].binding": ({ answer }) => [answer.callee, "callee"],
      "services[].service": ({ answer }) => [answer.callee, "callee"],
      "services[].entrypoint": ({ answer }) => [answer.who, "me"],
      "services[].props": ({ answer }) => [answer.who, "me"],
      ratelimits: ({ answer }) => [answer.limited, [true, true, false]],
      "ratelimits[].name": ({ answer }) => [answer.limited, [true, true, false]],
      "ratelimits[].namespace_id": ({ answer }) => [answer.limited, [true, true, false]],
      "ratelimits[].simple": ({ answer }) => [answer.limited, [true, true, false]],
      "ratelimits[].simple.limit": ({ answer }) => [answer.limited, [true, true, false]],
      "ratelimits[].simple.period": ({ answer }) => [answer.limited, [true, true, false]],
      // It was written without an exception, and is kept as this one.
      analytics_engine_datasets: ({ settings }) => [datasetIn(settings), "configured"],
      "analytics_engine_datasets[].binding": ({ answer }) => [answer.callee, "callee"],
      "analytics_engine_datasets[].dataset": ({ settings }) => [datasetIn(settings), "configured"],
    },
  },

  dispatcher: {
    ofAccount: true,
    config: {
      main: "index.js",
      dispatch_namespaces: [
        {
          binding: "DISPATCHER",
          namespace: "production",
          outbound: { service: "dispatcher-outbound", parameters: ["customer"] },
        },
      ],
    },
    before: async (platform) => {
      const outbound = `export default { fetch: (request, env) => new Response("for " + env.customer) };`;
      await upload(platform, "/workers/scripts/dispatcher-outbound", outbound);
      const source = `export default { fetch: () => fetch("http://anywhere.example/") };`;
      await platform.deploy("dispatched", source);
    },
    files: {
      "index.js": `
        export default {
          async fetch(request, env) {
            const outbound = { customer: "acme" };
            const response = await env.DISPATCHER.get("dispatched", {}, { outbound }).fetch("http://dispatched/");
            return Response.json(await response.text());
          },
        };`,
    },
    proves: Object.fromEntries(
      [
        "",
        "[].binding",
        "[].namespace",
        "[].outbound",
        "[].outbound.service",
        "[].outbound.parameters",
      ].map((key) => [
        `dispatch_namespaces${key}`,
        ({ answer }: Seen) => [answer, "for acme"] as const,
      ]),
    ),
  },

  routed: {
    ofAccount: true,
    config: {
      main: "index.js",
      workers_dev: true,
      routes: [
        { pattern: "shop.routed.test/*", zone_name: "routed.test" },
        { pattern: "own.routed.test", custom_domain: true },
      ],
    },
    before: async (platform) => {
      await platform.skep("zone", "add", "routed.test");
    },
    files: { "index.js": HELLO },
    hosts: ["shop.routed.test", "own.routed.test"],
    proves: {
      routes: ({ hosts }) => [Object.values(hosts), ['"hello"', '"hello"']],
    },
  },

  "routed-once": {
    ofAccount: true,
    config: {
      main: "index.js",
      workers_dev: true,
      route: { pattern: "*once.test/*", zone_name: "once.test" },
    },
    before: async (platform) => {
      await platform.skep("zone", "add", "once.test");
    },
    files: { "index.js": HELLO },
    hosts: ["any.once.test"],
    proves: { route: ({ hosts }) => [hosts["any.once.test"], '"hello"'] },
  },

  assets: {
    config: {
      main: "index.js",
      assets: {
        directory: "public",
        binding: "ASSETS",
        html_handling: "none",
        not_found_handling: "404-page",
        run_worker_first: true,
      },
    },
    files: {
      "index.js": `
        export default {
          async fetch(request, env) {
            const get = async (path) => {
              const response = await env.ASSETS.fetch(new URL(path, request.url));
              return [response.status, await response.text()];
            };
            return Response.json({ page: await get("/page.html"), bare: await get("/page"), root: await get("/") });
          },
        };`,
      "public/page.html": "a page",
      "public/404.html": "not found",
      "public/index.html": "the index",
    },
    proves: {
      assets: ({ answer }) => [answer.page, [200, "a page"]],
      "assets.directory": ({ answer }) => [answer.page, [200, "a page"]],
      "assets.binding": ({ answer }) => [answer.page, [200, "a page"]],
      "assets.html_handling": ({ answer }) => [answer.bare[0], 404],
      "assets.not_found_handling": ({ answer }) => [answer.bare, [404, "not found"]],
      // Without it the Worker is not asked for `/` by a client.
      "assets.run_worker_first": ({ answer }) => [typeof answer.root[0], "number"],
    },
  },

  "host-names": {
    ofAccount: true,
    config: { main: "index.js", workers_dev: true, preview_urls: false },
    files: { "index.js": `export default { fetch: () => Response.json({}) };` },
    proves: {
      workers_dev: ({ subdomain }) => [subdomain.enabled, true],
      preview_urls: ({ subdomain }) => [subdomain.previews_enabled, false],
    },
  },

  kept: {
    config: {
      main: "index.js",
      keep_vars: true,
      secrets: { required: ["KEY"] },
      vars: { MINE: "wrangler" },
    },
    args: ["--secrets-file", "secrets.env"],
    before: async (platform, path) => {
      const bindings = [{ type: "plain_text", name: "THEIRS", text: "api" }];
      await upload(platform, path, "export default { fetch() {} };", { bindings });
    },
    files: {
      "index.js": `export default { fetch: (request, env) => Response.json(env) };`,
      "secrets.env": "KEY=hidden\n",
    },
    proves: {
      keep_vars: ({ answer }) => [answer.THEIRS, "api"],
      secrets: ({ answer }) => [answer.KEY, "hidden"],
      "secrets.required": ({ answer }) => [answer.KEY, "hidden"],
    },
  },
};
