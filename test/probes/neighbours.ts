/** Other functions' things: globals, caches, temporary files, entrypoints, one's own past versions. */
import { expect } from "vitest";
import { ask, uploadForm, type Probe } from "./probe.ts";

export const neighbours: readonly Probe[] = [
  {
    name: "nothing of a neighbour in the same process is found in globals, caches or temporary files",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import { attempt } from "./attempt.js";
      import fs from "node:fs";
      export default { fetch: (request, env, ctx) => attempt({
        control: () => typeof caches,
        global: () => globalThis.victimSecret,
        symbol: () => globalThis[Symbol.for("victim")],
        process: () => process.env.VICTIM_SECRET,
        cache: async () => (await caches.default.match("http://victim.example/"))?.text(),
        "named cache": async () => (await (await caches.open("victim")).match("http://victim.example/"))?.text(),
        file: () => fs.readFileSync("/tmp/victim.txt", "utf8"),
        entrypoint: () => ctx.exports.Vault.reveal(),
        entries: () => performance.getEntries().map(({ name }) => name).join() || null,
        broadcast: () => new Promise((resolve) => {
          const channel = new BroadcastChannel("victim");
          channel.onmessage = ({ data }) => resolve(String(data));
        }),
        storage: () => globalThis.localStorage?.getItem("victim"),
      }, 1000) };`,
  },
  {
    name: "a function gets no binding to another function, nor to the platform, by asking for one",
    check: async (stage) => {
      const source = `export default { fetch: (request, env) => new Response(Reflect.ownKeys(env).join()) };`;
      const wanted = [
        { type: "service", name: "X", service: "victim", entrypoint: "SkepControl" },
        { type: "service", name: "X", service: "victim", environment: "staging" },
        { type: "service", name: "X", service: "hub", environment: "production" },
        { type: "dispatch_namespace", name: "X", namespace: "production" },
        { type: "worker_loader", name: "X" },
        { type: "durable_object_namespace", name: "X", class_name: "Registry" },
        { type: "durable_object_namespace", name: "X", class_name: "X", script_name: "victim" },
        { type: "unsafe_hello_world", name: "X" },
        { type: "unsafeEval", name: "X" },
        { type: "inherit", name: "SECRET" },
        { type: "inherit", name: "X", old_name: "SECRET", version_id: "victim" },
        { type: "secret_key", name: "X", format: "raw" },
        { type: "assets", name: "X" },
        { type: "wasm_module", name: "X", part: "../../secret.key" },
        { type: "data_blob", name: "X", part: "/etc/passwd" },
      ];
      await Promise.all(
        wanted.map(async (binding, index) => {
          const script = `binding-${index}`;
          const form = uploadForm(source, { bindings: [binding] });
          const refused = await stage.deploy(script, form).then(
            () => false,
            () => true,
          );
          // What is inherited is the script's own, and this one has nothing yet.
          if (!refused) expect((await ask(stage, script)).text, JSON.stringify(binding)).toBe("");
        }),
      );
      await stage.askVictim();
    },
  },
  {
    name: "a new version finds nothing of what the old one did to its globals",
    source: `
      globalThis.left = "behind";
      Object.prototype.left = "behind";
      Array.prototype.map = () => "behind";
      globalThis.fetch = () => "behind";
      Response.json = () => new Response("behind");
      export default { fetch: () => new Response("old") };`,
    check: async (stage, script) => {
      expect((await ask(stage, script)).text).toBe("old");
      await stage.deploy(
        script,
        uploadForm(
          `export default { fetch: () => new Response(JSON.stringify([
             typeof left, [1].map((x) => x), String(fetch).includes("native"), String(Response.json).includes("native"),
           ])) };`,
        ),
      );
      for (let i = 0; i < 10; i++) {
        expect(JSON.parse((await ask(stage, script)).text)).toEqual(["undefined", [1], true, true]);
      }
    },
  },
];
