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
  /** What has to be there already. It may add to the configuration what is known only now. */
  readonly before?: (platform: Platform, place: Place) => Promise<object | void>;
  /** What the function did is `Seen` elsewhere, too. */
  readonly after?: (platform: Platform, place: Place) => Promise<unknown>;
  /** Proves only what is of account Workers. */
  readonly ofAccount?: true;
  /** Key of the configuration -> what is `Seen` because of it. */
  readonly proves: Readonly<Record<string, (seen: Seen) => readonly [got: unknown, want: unknown]>>;
}

/** Where the function is. */
export interface Place {
  /** In the API. */
  readonly path: string;
  readonly host: string;
}

export interface Seen {
  /** What the function answers, as JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly answer: any;
  /** What `after` found. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly after: any;
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
  { path }: Pick<Place, "path">,
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

/** Another script of the same kind. */
function beside({ path, host }: Place, name: string): Place {
  return { path: path.replace(/[^/]+$/, name), host: host.replace(/^[^.]+/, name) };
}

async function zone(platform: Platform, name: string): Promise<string> {
  await platform.skep("zone", "add", name);
  const { CLOUDFLARE_API_BASE_URL: base, CLOUDFLARE_API_TOKEN: token } = platform.wranglerEnv;
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${base}/zones?name=${name}`, { headers });
  const { result } = (await response.json()) as { result: { id: string }[] };
  return result[0]?.id ?? "";
}

async function ask(platform: Platform, host: string, path = "/"): Promise<string> {
  return (await platform.fetchHost(host, path)).text();
}

/** What is found, as soon as it is not empty. */
async function poll<T>(find: () => Promise<readonly T[]>): Promise<readonly T[]> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const found = await find();
    if (found.length > 0) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return [];
}

async function result<T>(platform: Platform, path: string): Promise<T> {
  return ((await (await platform.api("GET", path)).json()) as { result: T }).result;
}

const OBJECT_NAMESPACES = "/workers/durable_objects/namespaces?per_page=1000";

interface ObjectNamespace {
  readonly script: string;
  readonly class: string;
  readonly use_sqlite: boolean;
}

/** Keeps the paths that it was given, and tells them. */
const KEEPER = `
  import { DurableObject } from "cloudflare:workers";
  class Keeper extends DurableObject {
    async keep(path) {
      const kept = [...((await this.ctx.storage.get("kept")) ?? []), path];
      await this.ctx.storage.put("kept", kept);
      return kept;
    }
  }`;

/** A script whose one object keeps the paths of its requests. `steps`: more of its migration. */
async function uploadClass(
  platform: Platform,
  place: Place,
  name: string,
  steps: readonly { readonly new_sqlite_classes: readonly string[] }[] = [],
): Promise<void> {
  const others = steps.flatMap((step) => step.new_sqlite_classes);
  const source = `${KEEPER}
    export { ${[name, ...others].map((exported) => `Keeper as ${exported}`).join(", ")} };
    export default {
      fetch: async (request, env) =>
        Response.json(await env.IT.getByName("it").keep(new URL(request.url).pathname)),
    };`;
  const bindings = [{ type: "durable_object_namespace", name: "IT", class_name: name }];
  const migrations = { new_tag: "v0", steps: [{ new_sqlite_classes: [name] }, ...steps] };
  await upload(platform, place, source, { bindings, migrations });
}

type Proof = (seen: Seen) => readonly [got: unknown, want: unknown];

const keptOf =
  (binding: string): Proof =>
  ({ answer }) => [answer[binding], ["/kept"]];
const transferred: Proof = ({ answer }) => [answer.TAKEN, ["/given", "/kept"]];
const ownClasses: Proof = ({ after }) => [after, { Old: false, Room: true, Taken: true }];
const declaredClasses: Proof = ({ after }) => [after, { Old: false, Room: true }];

interface Logs {
  readonly events: readonly { readonly event: { readonly request: { readonly url: string } } }[];
}

/** The paths of requests in the logs, as soon as one of them is there. */
function logged(platform: Platform, { path }: Place, awaited: string): Promise<readonly string[]> {
  return poll(async () => {
    const { events } = await result<Logs>(platform, `${path}/logs`);
    const paths = events.map(({ event }) => new URL(event.request.url).pathname);
    return paths.includes(awaited) ? paths : [];
  });
}

/** Which of two requests is logged. */
async function kept(platform: Platform, place: Place): Promise<object> {
  await ask(platform, place.host, "/silent");
  await ask(platform, place.host, "/said");
  const paths = await logged(platform, place, "/said");
  return { said: paths.includes("/said"), silent: paths.includes("/silent") };
}

/** Whether a request is logged before logs are switched on; that of one after it has come when this is known. */
async function keptBefore(platform: Platform, place: Place): Promise<object> {
  const { path, host } = place;
  await ask(platform, host, "/said");
  await platform.api("PATCH", `${path}/script-settings`, { observability: { enabled: true } });
  await ask(platform, host, "/last");
  const paths = await logged(platform, place, "/last");
  return { said: paths.includes("/said"), last: paths.includes("/last") };
}

/** Logs every path but one. */
const TALKER = `
  export default {
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname !== "/silent") console.log(pathname);
      return Response.json("hello");
    },
  };`;

const limited = ({ answer }: Seen) => [answer.limited, [true, true, false, false, true]] as const;

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
      unsafe: {
        bindings: [{ name: "UNSAFE", type: "plain_text", text: "unsafe" }],
        metadata: { tags: ["unsafe"] },
      },
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
          async fetch(request, env) {
            let subrequests = 0;
            const count = () => fetch("http://127.0.0.1/").then(() => subrequests++);
            for (let i = 0; i < 10; i++) await count().catch(() => {});
            return Response.json({
              subrequests, aliased, mapped, built, template, text, env,
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
      "limits.subrequests": ({ answer }) => [answer.subrequests, 7],
      unsafe: ({ answer }) => [answer.env.UNSAFE, "unsafe"],
      "unsafe.bindings": ({ answer }) => [answer.env.UNSAFE, "unsafe"],
      "unsafe.bindings[].name": ({ answer }) => [answer.env.UNSAFE, "unsafe"],
      "unsafe.bindings[].type": ({ answer }) => [answer.env.UNSAFE, "unsafe"],
      "unsafe.metadata": ({ settings }) => [settings.tags, ["unsafe"]],
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

  objects: {
    config: {
      main: "index.js",
      durable_objects: {
        bindings: [
          { name: "ROOM", class_name: "Room" },
          { name: "TAKEN", class_name: "Taken" },
          { name: "SHARED", class_name: "Shared", script_name: "objects-owner" },
        ],
      },
      migrations: [
        { tag: "v1", new_classes: ["Old"], new_sqlite_classes: ["Before", "Gone"] },
        {
          tag: "v2",
          renamed_classes: [{ from: "Before", to: "Room" }],
          deleted_classes: ["Gone"],
        },
        {
          tag: "v3",
          transferred_classes: [{ from: "Given", from_script: "objects-giver", to: "Taken" }],
        },
      ],
    },
    before: async (platform, place) => {
      await uploadClass(platform, beside(place, "objects-owner"), "Shared");
      const giver = beside(place, "objects-giver");
      await uploadClass(platform, giver, "Given");
      await ask(platform, giver.host, "/given");
    },
    files: {
      "index.js": `
        ${KEEPER}
        export { Keeper as Old, Keeper as Room, Keeper as Taken };
        export default {
          async fetch(request, { ROOM, SHARED, TAKEN }) {
            const seen = {};
            for (const [name, objects] of Object.entries({ ROOM, SHARED, TAKEN }))
              seen[name] = await objects.getByName("it").keep("/kept");
            return Response.json(seen);
          },
        };`,
    },
    after: async (platform, { path }) => {
      const all = await result<ObjectNamespace[]>(platform, OBJECT_NAMESPACES);
      const isUser = path.includes("/dispatch/");
      const own = all.filter(
        (found) => found.script === "objects" && "dispatch_namespace" in found === isUser,
      );
      return Object.fromEntries(own.map((found) => [found.class, found.use_sqlite]));
    },
    proves: {
      durable_objects: keptOf("ROOM"),
      "durable_objects.bindings": keptOf("ROOM"),
      "durable_objects.bindings[].name": keptOf("ROOM"),
      "durable_objects.bindings[].class_name": keptOf("ROOM"),
      "durable_objects.bindings[].script_name": keptOf("SHARED"),
      ...Object.fromEntries(
        [
          "",
          "[].tag",
          "[].new_classes",
          "[].new_sqlite_classes",
          "[].renamed_classes",
          "[].renamed_classes[].from",
          "[].renamed_classes[].to",
          "[].deleted_classes",
        ].map((key) => [`migrations${key}`, ownClasses] as const),
      ),
      ...Object.fromEntries(
        ["", "[].from", "[].from_script", "[].to"].map(
          (key) => [`migrations[].transferred_classes${key}`, transferred] as const,
        ),
      ),
    },
  },

  declared: {
    config: {
      main: "index.js",
      exports: {
        Room: { type: "durable-object", storage: "sqlite" },
        Old: { type: "durable-object", storage: "legacy-kv" },
        Before: { type: "durable-object", state: "renamed", renamed_to: "Room" },
        Gone: { type: "durable-object", state: "deleted" },
      },
    },
    before: async (platform, place) => {
      const steps = [{ new_sqlite_classes: ["Gone"] }];
      await uploadClass(platform, place, "Before", steps);
      await ask(platform, place.host, "/before");
    },
    files: {
      "index.js": `
        ${KEEPER}
        export { Keeper as Old, Keeper as Room };
        export default {
          fetch: async (request, env, { exports }) =>
            Response.json(await exports.Room.getByName("it").keep("/kept")),
        };`,
    },
    after: async (platform, { path }) => {
      const all = await result<ObjectNamespace[]>(platform, OBJECT_NAMESPACES);
      const isUser = path.includes("/dispatch/");
      const own = all.filter(
        (found) => found.script === "declared" && "dispatch_namespace" in found === isUser,
      );
      return Object.fromEntries(own.map((found) => [found.class, found.use_sqlite]));
    },
    proves: {
      exports: declaredClasses,
      "exports.*.type": declaredClasses,
      "exports.*.state": declaredClasses,
      "exports.*.storage": declaredClasses,
      "exports.*.renamed_to": ({ answer }) => [answer, ["/before", "/kept"]],
    },
  },

  bound: {
    config: {
      main: "index.js",
      services: [
        { binding: "CALLEE", service: "bound-callee" },
        { binding: "NAMED", service: "bound-callee", entrypoint: "Named", props: { who: "me" } },
      ],
      ratelimits: [
        { name: "LIMIT", namespace_id: "7", simple: { limit: 2, period: 60 } },
        { name: "SAME", namespace_id: "7", simple: { limit: 2, period: 60 } },
        { name: "OTHER", namespace_id: "8", simple: { limit: 2, period: 60 } },
        { name: "SHORT", namespace_id: "9", simple: { limit: 1, period: 10 } },
      ],
      analytics_engine_datasets: [{ binding: "POINTS", dataset: "configured" }],
    },
    before: (platform, place) =>
      upload(
        platform,
        beside(place, "bound-callee"),
        `import { WorkerEntrypoint } from "cloudflare:workers";
        export default { fetch: () => new Response("callee") };
        export class Named extends WorkerEntrypoint { who() { return this.ctx.props.who; } }`,
      ),
    files: {
      "index.js": `
        export default {
          async fetch(request, env) {
            const take = async (name) => (await env[name].limit({ key: "k" })).success;
            // Windows of ten seconds begin when these do.
            const left = 10_000 - (Date.now() % 10_000);
            if (left < 3_000) await scheduler.wait(left);
            const limited = [];
            for (const name of ["LIMIT", "LIMIT", "LIMIT", "SAME", "OTHER"]) limited.push(await take(name));
            const short = [await take("SHORT"), await take("SHORT")];
            await scheduler.wait(10_000);
            short.push(await take("SHORT"));
            env.POINTS.writeDataPoint({ blobs: ["b"], doubles: [1] });
            const callee = await (await env.CALLEE.fetch("http://callee/")).text();
            return Response.json({ limited, short, callee, who: await env.NAMED.who() });
          },
        };`,
    },
    after: (platform, { path }) => {
      const dataset = path.replace(/scripts\/.*/, "analytics/configured");
      return poll(async () => {
        const points = await result<{ blobs: string[] }[]>(platform, dataset);
        return points.map(({ blobs }) => blobs);
      });
    },
    proves: {
      services: ({ answer }) => [answer.callee, "callee"],
      "services[].binding": ({ answer }) => [answer.callee, "callee"],
      "services[].service": ({ answer }) => [answer.callee, "callee"],
      "services[].entrypoint": ({ answer }) => [answer.who, "me"],
      "services[].props": ({ answer }) => [answer.who, "me"],
      ratelimits: limited,
      "ratelimits[].name": limited,
      // Two with the same id share what may be taken.
      "ratelimits[].namespace_id": limited,
      "ratelimits[].simple": limited,
      "ratelimits[].simple.limit": limited,
      "ratelimits[].simple.period": ({ answer }) => [answer.short, [true, false, true]],
      analytics_engine_datasets: ({ after }) => [after, [["b"]]],
      "analytics_engine_datasets[].binding": ({ after }) => [after, [["b"]]],
      "analytics_engine_datasets[].dataset": ({ after }) => [after, [["b"]]],
    },
  },

  "kept-in-kv": {
    config: { main: "index.js" },
    before: async (platform, { path }) => {
      const title = `of ${path}`;
      const made = await platform.api("POST", "/storage/kv/namespaces", { title });
      const { result } = (await made.json()) as { result: { id: string } };
      const pairs = [{ key: "greeting", value: "hello" }];
      await platform.api("PUT", `/storage/kv/namespaces/${result.id}/bulk`, pairs);
      return { kv_namespaces: [{ binding: "KV", id: result.id }] };
    },
    files: {
      "index.js": `
        export default {
          fetch: async (request, env) => Response.json({ kept: await env.KV.get("greeting") }),
        };`,
    },
    proves: {
      kv_namespaces: ({ answer }) => [answer.kept, "hello"],
      "kv_namespaces[].binding": ({ answer }) => [answer.kept, "hello"],
      "kv_namespaces[].id": ({ answer }) => [answer.kept, "hello"],
    },
  },

  "kept-in-r2": {
    config: { main: "index.js" },
    before: async (platform) => {
      const name = `kept-${crypto.randomUUID()}`;
      await platform.api("POST", "/r2/buckets", { name });
      const object = new FormData();
      object.set("greeting", "hello");
      await platform.api("PUT", `/r2/buckets/${name}/objects/greeting`, object);
      return { r2_buckets: [{ binding: "BUCKET", bucket_name: name }] };
    },
    files: {
      "index.js": `
        export default {
          async fetch(request, env) {
            const object = await env.BUCKET.get("greeting");
            return Response.json({ kept: (await object.text()).includes("hello") });
          },
        };`,
    },
    proves: {
      r2_buckets: ({ answer }) => [answer.kept, true],
      "r2_buckets[].binding": ({ answer }) => [answer.kept, true],
      "r2_buckets[].bucket_name": ({ answer }) => [answer.kept, true],
    },
  },

  "kept-in-d1": {
    config: { main: "index.js" },
    before: async (platform, { path }) => {
      const name = `of-${path.replaceAll(/\W/g, "-")}`.slice(0, 64);
      const made = await platform.api("POST", "/d1/database", { name });
      const { result } = (await made.json()) as { result: { uuid: string } };
      const sql = "CREATE TABLE t (greeting); INSERT INTO t VALUES ('hello')";
      await platform.api("POST", `/d1/database/${result.uuid}/query`, { sql });
      const d1_databases = [{ binding: "DB", database_name: name, database_id: result.uuid }];
      return { d1_databases };
    },
    files: {
      "index.js": `
        export default {
          fetch: async (request, env) =>
            Response.json({ kept: await env.DB.prepare("SELECT greeting FROM t").first("greeting") }),
        };`,
    },
    proves: {
      d1_databases: ({ answer }) => [answer.kept, "hello"],
      "d1_databases[].binding": ({ answer }) => [answer.kept, "hello"],
      "d1_databases[].database_id": ({ answer }) => [answer.kept, "hello"],
    },
  },

  "named-d1": {
    config: { main: "index.js" },
    before: (_platform, { path }) => {
      const database_name = `named-${path.replaceAll(/\W/g, "-")}`.slice(0, 64);
      return Promise.resolve({ d1_databases: [{ binding: "DB", database_name }] });
    },
    files: {
      "index.js": `
        export default {
          fetch: async (request, env) =>
            Response.json({ kept: await env.DB.prepare("SELECT 'made' AS v").first("v") }),
        };`,
    },
    after: async (platform, { path }) => {
      const name = `named-${path.replaceAll(/\W/g, "-")}`.slice(0, 64);
      const found = await platform.api("GET", `/d1/database/${name}`);
      return ((await found.json()) as { result: { name: string } }).result.name === name;
    },
    proves: {
      "d1_databases[].database_name": ({ answer, after }) => [
        [answer.kept, after],
        ["made", true],
      ],
    },
  },

  site: {
    config: {
      main: "index.js",
      site: { bucket: "public", include: ["*.txt"], exclude: ["secret.txt"] },
    },
    files: {
      "index.js": `
        import manifest from "__STATIC_CONTENT_MANIFEST";
        export default {
          async fetch(request, env) {
            const paths = JSON.parse(manifest);
            return Response.json({
              paths: Object.keys(paths),
              text: await env.__STATIC_CONTENT.get(paths["page.txt"]),
            });
          },
        };`,
      "public/page.txt": "a page",
      "public/page.html": "not included",
      "public/secret.txt": "excluded",
    },
    proves: {
      site: ({ answer }) => [answer.text, "a page"],
      "site.bucket": ({ answer }) => [answer.text, "a page"],
      "site.include": ({ answer }) => [answer.paths, ["page.txt"]],
      "site.exclude": ({ answer }) => [answer.paths, ["page.txt"]],
    },
  },

  sends: {
    config: {},
    before: async (platform, { host }) => {
      const queue = `sent-to-${host.split(".")[1]}`;
      await platform.api("POST", "/queues", { queue_name: queue });
      return { queues: { producers: [{ binding: "JOBS", queue, delivery_delay: 3_600 }] } };
    },
    files: {
      "index.js": `
        export default { fetch: async (request, { JOBS }) => {
          await JOBS.sendBatch([{ body: "late" }, { body: "soon", delaySeconds: 0 }]);
          return Response.json(Object.keys(await JOBS.metrics()));
        } };`,
    },
    after: async (platform, { host }) => {
      const name = `sent-to-${host.split(".")[1]}`;
      const [queue] = await result<{ queue_id: string }[]>(platform, `/queues?name=${name}`);
      const path = `/queues/${queue?.queue_id}/messages/peek`;
      const peeked = await (await platform.api("POST", path, {})).json();
      const { messages } = (peeked as { result: { messages: { body: string }[] } }).result;
      return messages.map(({ body }) => atob(body));
    },
    proves: {
      queues: ({ after }) => [after, ['"soon"']],
      "queues.producers": ({ after }) => [after, ['"soon"']],
      "queues.producers[].binding": ({ answer }) => [answer.includes("backlogCount"), true],
      "queues.producers[].queue": ({ after }) => [after, ['"soon"']],
      "queues.producers[].delivery_delay": ({ after }) => [after, ['"soon"']],
    },
  },

  flows: {
    config: { workflows: [{ binding: "FLOW", name: "flows", class_name: "Flow" }] },
    files: {
      "index.js": `
        import { WorkflowEntrypoint } from "cloudflare:workers";
        export class Flow extends WorkflowEntrypoint {
          run({ workflowName }, step) { return step.do("only", async () => workflowName); }
        }
        export default {
          async fetch(request, env) {
            const instance = await env.FLOW.create();
            for (;;) {
              const { status, output } = await instance.status();
              if (status === "complete") return Response.json({ output });
              await scheduler.wait(50);
            }
          },
        };`,
    },
    proves: {
      workflows: ({ answer }) => [answer.output, "flows"],
      "workflows[].binding": ({ answer }) => [answer.output, "flows"],
      "workflows[].name": ({ answer }) => [answer.output, "flows"],
      "workflows[].class_name": ({ answer }) => [answer.output, "flows"],
    },
  },

  "flows-within": {
    ofAccount: true,
    config: {
      workflows: [
        {
          binding: "FLOW",
          name: "flows-within",
          class_name: "Flow",
          limits: { steps: 2 },
          default_retention: { success_retention: "1 second", error_retention: "1 hour" },
        },
      ],
    },
    files: {
      "index.js": `
        import { WorkflowEntrypoint } from "cloudflare:workers";
        export class Flow extends WorkflowEntrypoint {
          async run({ payload }, step) {
            for (let n = 0; n < payload.steps; n++) await step.do("step", () => Promise.resolve(n));
          }
        }
        async function settled(instance) {
          for (;;) {
            const { status, error } = await instance.status();
            if (status === "complete" || status === "errored") return error?.message ?? status;
            await scheduler.wait(50);
          }
        }
        export default {
          async fetch(request, env) {
            const short = await env.FLOW.create({ params: { steps: 1 } });
            const long = await env.FLOW.create({ params: { steps: 3 } });
            const within = await settled(short);
            const beyond = await settled(long);
            await scheduler.wait(1_500);
            const gone = await env.FLOW.get(short.id).then(() => false, () => true);
            const kept = await env.FLOW.get(long.id).then(() => true, () => false);
            return Response.json({ within, beyond, gone, kept });
          },
        };`,
    },
    proves: {
      "workflows[].limits": ({ answer }) => [answer.within, "complete"],
      "workflows[].limits.steps": ({ answer }) => [
        answer.beyond.slice(0, 20),
        "The limit of 2 steps",
      ],
      "workflows[].default_retention": ({ answer }) => [answer.kept, true],
      "workflows[].default_retention.success_retention": ({ answer }) => [answer.gone, true],
      "workflows[].default_retention.error_retention": ({ answer }) => [answer.kept, true],
    },
  },

  takes: {
    ofAccount: true,
    config: {
      queues: {
        consumers: [
          {
            queue: "taken-from",
            max_batch_size: 7,
            max_batch_timeout: 2,
            max_retries: 4,
            dead_letter_queue: "taken-from-dead",
            max_concurrency: 3,
            retry_delay: 9,
          },
        ],
      },
    },
    before: async (platform) => {
      await platform.api("POST", "/queues", { queue_name: "taken-from" });
    },
    files: {
      "index.js": `export default { fetch: () => Response.json({}), queue() {} };`,
    },
    after: async (platform) => {
      const [queue] = await result<{ consumers: unknown[] }[]>(platform, "/queues?name=taken-from");
      return queue?.consumers[0];
    },
    proves: {
      "queues.consumers": ({ after }) => [after.type, "worker"],
      "queues.consumers[].queue": ({ after }) => [after.script, "takes"],
      "queues.consumers[].max_batch_size": ({ after }) => [after.settings.batch_size, 7],
      "queues.consumers[].max_batch_timeout": ({ after }) => [
        after.settings.max_wait_time_ms,
        2_000,
      ],
      "queues.consumers[].max_retries": ({ after }) => [after.settings.max_retries, 4],
      "queues.consumers[].dead_letter_queue": ({ after }) => [
        after.dead_letter_queue,
        "taken-from-dead",
      ],
      "queues.consumers[].max_concurrency": ({ after }) => [after.settings.max_concurrency, 3],
      "queues.consumers[].retry_delay": ({ after }) => [after.settings.retry_delay, 9],
    },
  },

  told: {
    config: { main: "index.js", tail_consumers: [{ service: "told-collector" }] },
    before: (platform, place) =>
      upload(
        platform,
        beside(place, "told-collector"),
        `const told = [];
        export default {
          fetch: () => Response.json({ result: told }),
          tail: (events) => { told.push(...events.map(({ scriptName }) => scriptName)); },
        };`,
      ),
    files: { "index.js": TALKER },
    after: async (platform, place) => {
      const { host } = beside(place, "told-collector");
      return poll(async () => JSON.parse(await ask(platform, host)).result);
    },
    proves: {
      tail_consumers: ({ after }) => [after, ["told"]],
      "tail_consumers[].service": ({ after }) => [after, ["told"]],
    },
  },

  observed: {
    config: { main: "index.js", observability: { enabled: true } },
    files: { "index.js": TALKER },
    after: kept,
    proves: {
      observability: ({ after }) => [after.said, true],
      "observability.enabled": ({ after }) => [after.said, true],
    },
  },

  "observed-never": {
    config: { main: "index.js", observability: { enabled: true, head_sampling_rate: 0 } },
    files: { "index.js": TALKER },
    after: keptBefore,
    proves: {
      "observability.head_sampling_rate": ({ after }) => [after, { said: false, last: true }],
    },
  },

  "observed-logs": {
    config: {
      main: "index.js",
      observability: {
        enabled: false,
        head_sampling_rate: 0,
        logs: { enabled: true, head_sampling_rate: 1, invocation_logs: false },
      },
    },
    files: { "index.js": TALKER },
    after: kept,
    proves: {
      "observability.logs": ({ after }) => [after, { said: true, silent: false }],
      "observability.logs.enabled": ({ after }) => [after, { said: true, silent: false }],
      "observability.logs.head_sampling_rate": ({ after }) => [
        after,
        { said: true, silent: false },
      ],
      "observability.logs.invocation_logs": ({ after }) => [after, { said: true, silent: false }],
    },
  },

  "observed-live": {
    config: { main: "index.js", observability: { enabled: true, logs: { persist: false } } },
    files: { "index.js": TALKER },
    after: keptBefore,
    proves: { "observability.logs.persist": ({ after }) => [after, { said: false, last: true }] },
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
    before: async (platform, place) => {
      const outbound = `export default { fetch: (request, env) => new Response("for " + env.customer) };`;
      await upload(platform, beside(place, "dispatcher-outbound"), outbound);
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
    config: { main: "index.js", workers_dev: true },
    before: async (platform) => ({
      routes: [
        { pattern: "named.routed.test/in/*", zone_name: "routed.test" },
        { pattern: "known.routed.test/*", zone_id: await zone(platform, "routed.test") },
        { pattern: "own.routed.test", custom_domain: true },
      ],
    }),
    files: { "index.js": HELLO },
    after: (platform) =>
      Promise.all([
        ask(platform, "named.routed.test", "/in/it"),
        ask(platform, "known.routed.test", "/any"),
        ask(platform, "own.routed.test", "/any"),
        ask(platform, "named.routed.test", "/out").then((text) => text.includes("hello")),
      ]),
    proves: Object.fromEntries(
      ["", "[].pattern", "[].zone_name", "[].zone_id", "[].custom_domain"].map((key) => [
        `routes${key}`,
        ({ after }: Seen) => [after, ['"hello"', '"hello"', '"hello"', false]] as const,
      ]),
    ),
  },

  "routed-once": {
    ofAccount: true,
    config: {
      main: "index.js",
      workers_dev: true,
      route: { pattern: "*once.test/*", zone_name: "once.test" },
    },
    before: async (platform) => {
      await zone(platform, "once.test");
    },
    files: { "index.js": HELLO },
    after: (platform) => ask(platform, "any.once.test"),
    proves: {
      route: ({ after }) => [after, '"hello"'],
      "route.pattern": ({ after }) => [after, '"hello"'],
      "route.zone_name": ({ after }) => [after, '"hello"'],
    },
  },

  "routed-by-id": {
    ofAccount: true,
    config: { main: "index.js", workers_dev: true },
    before: async (platform) => ({
      route: { pattern: "by-id.test/*", zone_id: await zone(platform, "by-id.test") },
    }),
    files: { "index.js": HELLO },
    after: (platform) => ask(platform, "by-id.test"),
    proves: { "route.zone_id": ({ after }) => [after, '"hello"'] },
  },

  timed: {
    ofAccount: true,
    config: {
      main: "index.js",
      workers_dev: true,
      triggers: { crons: ["0 17 * * sun", "59 23 LW * *"] },
    },
    files: { "index.js": HELLO },
    after: async (platform, { path }) => {
      const response = await platform.api("GET", `${path}/schedules`);
      const { result } = (await response.json()) as { result: { schedules: { cron: string }[] } };
      return result.schedules.map(({ cron }) => cron);
    },
    proves: { "triggers.crons": ({ after }) => [after, ["0 17 * * sun", "59 23 LW * *"]] },
  },

  "routed-domain": {
    ofAccount: true,
    config: {
      main: "index.js",
      workers_dev: true,
      route: { pattern: "own.domain.test", custom_domain: true },
    },
    before: async (platform) => {
      await zone(platform, "domain.test");
    },
    files: { "index.js": HELLO },
    after: (platform) => ask(platform, "own.domain.test", "/any"),
    proves: { "route.custom_domain": ({ after }) => [after, '"hello"'] },
  },

  assets: {
    config: {
      main: "index.js",
      assets: {
        directory: "public",
        binding: "ASSETS",
        html_handling: "none",
        not_found_handling: "404-page",
        run_worker_first: ["/", "/api/*"],
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
            return Response.json({ page: await get("/page.html"), bare: await get("/page") });
          },
        };`,
      "public/page.html": "a page",
      "public/api/page.html": "no page",
      "public/404.html": "not found",
      "public/index.html": "the index",
    },
    after: async (platform, { host }) => ({
      page: await ask(platform, host, "/page.html"),
      api: JSON.parse(await ask(platform, host, "/api/page.html")),
    }),
    proves: {
      assets: ({ after }) => [after.page, "a page"],
      "assets.directory": ({ answer }) => [answer.page, [200, "a page"]],
      "assets.binding": ({ answer }) => [answer.page, [200, "a page"]],
      "assets.html_handling": ({ answer }) => [answer.bare[0], 404],
      "assets.not_found_handling": ({ answer }) => [answer.bare, [404, "not found"]],
      "assets.run_worker_first": ({ answer, after }) => [after.api, answer],
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
    before: async (platform, place) => {
      const bindings = [{ type: "plain_text", name: "THEIRS", text: "api" }];
      await upload(platform, place, "export default { fetch() {} };", { bindings });
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
