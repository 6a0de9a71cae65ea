/** Code made at run time, shared memory, and floods of work that end by themselves. */
import { expect } from "vitest";
import { ask, expectException, type Probe } from "./probe.ts";

export const code: readonly Probe[] = [
  {
    name: "a handler makes no code out of text or bytes, and finds no other global object",
    source: `
      import { attempt } from "./attempt.js";
      const WASM = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);
      const AsyncFunction = (async () => {}).constructor;
      const GeneratorFunction = (function* () {}).constructor;
      export default { fetch: () => attempt({
        control: () => [].constructor.constructor.name,
        eval: () => eval("1 + 1"),
        "indirect eval": () => (0, eval)("1 + 1"),
        Function: () => new Function("return 1")(),
        constructor: () => typeof (() => {}).constructor.constructor("return this")(),
        "error constructor": () => { try { null.x; } catch (error) { return typeof error.constructor.constructor("return this")(); } },
        AsyncFunction: () => AsyncFunction("return 1")(),
        GeneratorFunction: () => GeneratorFunction("yield 1")().next().value,
        timeout: () => setTimeout("1 + 1", 0),
        module: () => new WebAssembly.Module(WASM) && "module",
        instance: async () => (await WebAssembly.instantiate(WASM)) && "instance",
        compile: async () => (await WebAssembly.compile(WASM)) && "module",
        streaming: async () => (await WebAssembly.instantiateStreaming(new Response(WASM, { headers: { "content-type": "application/wasm" } }))) && "instance",
        script: () => importScripts("data:text/javascript,1") ?? "imported",
        realm: () => new ShadowRealm().evaluate("1"),
        worker: () => new Worker("data:text/javascript,1") && "worker",
        caller: () => (function f() { return f.caller; })(),
      }) };`,
  },
  {
    name: "code made at top level, where that is allowed, sees the function's own world only",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import { attempt } from "./attempt.js";
      const found = {};
      const NAMES = ["process", "require", "Deno", "workerd", "internalBinding", "LOADER", "HUB", "victimSecret", "__dirname", "gc", "d8", "print", "load", "read", "quit"];
      for (const make of [(text) => eval(text), (text) => (0, eval)(text), (text) => new Function("return " + text)(), (text) => [].constructor.constructor("return " + text)()]) {
        try {
          const self = make("globalThis");
          if (self !== globalThis) found.other = "another global object";
          for (const name of NAMES) if (name !== "process" && name in self) found[name] = typeof self[name];
          for (const native of ["%DebugPrint({})", "%GetOptimizationStatus(() => 1)"]) try { make(native); found.natives = native; } catch {}
        } catch {}
      }
      export default { fetch: () => attempt(Object.fromEntries(Object.entries(found).map(([name, value]) => [name, () => value]))) };`,
  },
  {
    name: "nobody waits on shared memory, and it is shared with nobody",
    source: `
      import { attempt } from "./attempt.js";
      const shared = () => new Int32Array(new SharedArrayBuffer(16));
      export default { fetch: () => attempt({
        wait: () => Atomics.wait(shared(), 0, 0, 50),
        forever: () => Atomics.wait(shared(), 0, 0),
        channel: async () => {
          const { port1, port2 } = new MessageChannel();
          const view = shared();
          const arrived = new Promise((resolve) => { port2.onmessage = ({ data }) => resolve(data); });
          port1.postMessage(view.buffer);
          const other = new Int32Array(await arrived);
          other[0] = 7;
          return null;
        },
        pause: () => Atomics.notify(shared(), 0) > 0,
      }) };`,
  },
  {
    name: "10,000 timers, a million microtasks and a deep recursion end with the request, and nobody else's",
    source: `
      const deep = (n) => n === 0 ? 0 : 1 + deep(n - 1);
      const WORK = {
        "/timers": () => new Promise((resolve) => { let left = 10_000; for (let i = 0; i < 10_000; i++) setTimeout(() => { if (--left === 0) resolve("done"); }, i % 20); }),
        "/abandoned-timers": () => { for (let i = 0; i < 10_000; i++) setTimeout(() => {}, 1e6); return "done"; },
        "/intervals": () => { for (let i = 0; i < 1_000; i++) setInterval(() => {}, 1); return "done"; },
"/microtasks": async () => { for (let i = 0; i < 1e6; i++) await null; return "done"; },
        "/queued": () => new Promise((resolve) => { let left = 1e4; const next = () => --left === 0 ? resolve("done") : queueMicrotask(next); next(); }),
        "/recursion": () => String(deep(1e6)),
        "/json": () => JSON.stringify(JSON.parse("[".repeat(1e5) + "]".repeat(1e5))),
        "/clone": () => { let o = {}; for (let i = 0; i < 1e4; i++) o = { o }; structuredClone(o); return "done"; },
        "/proxy": () => { let o = {}; for (let i = 0; i < 1e5; i++) o = new Proxy(o, {}); return String(o.x); },
        "/regexp": () => String(/^(a|a)+$/.test("a".repeat(18) + "b")),
        "/weak": () => { const registry = new FinalizationRegistry(() => { throw new Error("late"); }); for (let i = 0; i < 1e4; i++) registry.register({}, i); return "done"; },
      };
      export default { async fetch(request) { return new Response(await WORK[new URL(request.url).pathname]()); } };`,
    check: async (stage, script) => {
      const paths = [
        "timers",
        "abandoned-timers",
        "intervals",
        "microtasks",
        "queued",
        "recursion",
        "json",
        "clone",
        "proxy",
        "regexp",
        "weak",
      ];
      for (const path of paths) {
        const answer = await ask(stage, script, { path: `/${path}` });
        // The function's own limits may end it: that is its own 1102.
        const limited = answer.headers.get("x-skep-error") === "1102";
        if (answer.status !== 200 && !limited)
          expectException({ ...answer, text: `${path}: ${answer.text}` });
        await stage.askVictim();
      }
      const after = await ask(stage, script, { path: "/queued" });
      expect([200, 500, 503]).toContain(after.status);
    },
  },
  {
    name: "a function learns nothing of other tenants from the runtime's own accounts",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import { attempt } from "./attempt.js";
      export default { fetch: () => attempt({
        marks: () => performance.getEntriesByType?.("resource").map(({ name }) => name).join() || null,
        handles: () => process._getActiveHandles?.().length > 0,
        requests: () => process._getActiveRequests?.().length > 0,
        report: () => Object.keys(process.report?.getReport?.() ?? {}).join(),
        diagnostics: async () => {
          const { channel } = await import("node:diagnostics_channel");
          const heard = [];
          for (const name of ["fetch", "victim", "workerd", "skep"]) channel(name).subscribe((message) => heard.push(String(message)));
          await new Promise((resolve) => setTimeout(resolve, 300));
          return heard.join() || null;
        },
        hooks: async () => (await import("node:async_hooks")).createHook({ init() {} }).enable() && null,
        storage: async () => { const { AsyncLocalStorage } = await import("node:async_hooks"); return new AsyncLocalStorage().getStore(); },
      }, 2000) };`,
  },
];
