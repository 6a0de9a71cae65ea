/** The module registry: internal modules of the runtime, the platform's own, other functions'. */
import { expect } from "vitest";
import { obtained, type Probe } from "./probe.ts";

const INTERNAL = [
  "cloudflare-internal:workers",
  "cloudflare-internal:env",
  "cloudflare-internal:sockets",
  "cloudflare-internal:filesystem",
  "cloudflare-internal:d1-api",
  "cloudflare-internal:messagechannel",
  "cloudflare-internal:workflows-api",
  "cloudflare:internal",
  "cloudflare:loader",
  "workerd:unsafe",
  "workerd:unsafe-eval",
  "workerd:internal",
  "workerd:rtti",
  "node-internal:process",
  "node-internal:util",
  "node-internal:internal_fs_promises",
  "node-internal:filesystem",
  "node-internal:sockets",
  "node:internal/process",
  "node:internal/bootstrap/realm",
  "internal:unsafe-eval",
  "internal:workers",
  "pyodide-internal:setup-emscripten",
  "/workerd/kv.js",
  "/workerd/workerd.capnp",
];

const OURS = [
  "edge.js",
  "cell.js",
  "hub.js",
  "egress.js",
  "dispatcher",
  "./dispatcher",
  "/edge.js",
  "../edge.js",
  "../../cell.js",
  "./worker",
  "worker",
  "./worker.js",
  "main.js",
  "./main.js",
  "skep:control",
  "skep",
];

export const modules: readonly Probe[] = [
  {
    name: "a function imports no internal module of the runtime or the platform",
    source: `
      import { attempt } from "./attempt.js";
      export default { fetch() {
        const ways = { control: async () => Object.keys(await import("./attempt.js")).join() };
        for (const name of ${JSON.stringify([...INTERNAL, ...OURS])}) {
          ways[name] = async () => Object.keys(await import(name)).join() || "empty";
        }
        return attempt(ways);
      } };`,
  },
  {
    name: "the same holds with Node's compatibility, for require and getBuiltinModule",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import { attempt } from "./attempt.js";
      import { createRequire } from "node:module";
      const require = createRequire(import.meta.url ?? "file:///bundle/index.js");
      export default { fetch() {
        const ways = { control: () => Object.keys(require("node:path")).length > 0 };
        for (const name of ${JSON.stringify([...INTERNAL, ...OURS])}) {
          ways["import " + name] = async () => Object.keys(await import(name)).join() || "empty";
          ways["require " + name] = () => Object.keys(require(name)).join() || "empty";
          ways["builtin " + name] = () => Object.keys(process.getBuiltinModule(name)).join() || "empty";
        }
        return attempt(ways);
      } };`,
  },
  {
    // The start module is the trusted code in the isolate. Whoever reads it learns no secret, since it has none.
    name: "the start module and everything else in a function's own bundle hold no secret",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import { attempt } from "./attempt.js";
      import fs from "node:fs";
      const walk = (path) => fs.readdirSync(path, { withFileTypes: true }).flatMap((entry) =>
        entry.isDirectory() ? walk(path + "/" + entry.name) : [path + "/" + entry.name]);
      const TOKEN = /[0-9a-f]{24,}/gi;
      export default { async fetch() {
        const ways = { control: () => walk("/bundle").join() };
        for (const file of walk("/bundle")) {
          ways["tokens in " + file] = () => fs.readFileSync(file, "utf8").match(TOKEN);
        }
        for (const name of ["skep-start.js", "skep-globals.js", "skep-marker.js", "skep-trusted.js"]) {
          ways["import " + name] = async () => {
            const found = await import("./" + name);
            const texts = Object.values(found).map((value) => typeof value === "function" ? Function.prototype.toString.call(value) : JSON.stringify(value) ?? String(value));
            return texts.join("\\n").match(TOKEN);
          };
        }
        return attempt(ways);
      } };`,
    check: async (stage, script) => {
      const { control, ...rest } = await obtained(stage, script);
      expect(control).toContain("attempt.js");
      expect(rest).toEqual({});
    },
  },
];
