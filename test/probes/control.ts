/** The trusted code around a function: its control entrypoint, the loader, telemetry, the platform's outbound. */
import { expect } from "vitest";
import { ask, obtained, type Probe } from "./probe.ts";

/** Remembers every argument of built-in functions that looks like a secret or a marker of the platform. */
const SNOOP = `
const seen = [];
let noting = false;
const reflectApply = Reflect.apply, construct = Reflect.construct, describe = Object.getOwnPropertyDescriptor;
const define = Object.defineProperty, ownKeys = Reflect.ownKeys, stringify = JSON.stringify;
const SECRET = /skep|[0-9a-f]{32}/i;
const isArray = Array.isArray, test = RegExp.prototype.test;
function note(value) {
  if (noting) return;
  noting = true;
  try {
    if (typeof value === "string" && reflectApply(test, SECRET, [value]) && seen.length < 100) seen[seen.length] = value;
    if (isArray(value)) for (let i = 0; i < value.length && i < 10; i++) { noting = false; note(value[i]); noting = true; }
  } finally { noting = false; }
}
function patch(owner, key) {
  const descriptor = describe(owner, key);
  const original = descriptor?.value;
  if (typeof original !== "function" || !descriptor.configurable || key === "constructor") return;
  define(owner, key, { configurable: true, writable: true, enumerable: descriptor.enumerable, value: function () {
    for (let i = 0; i < arguments.length; i++) note(arguments[i]);
    note(this);
    return new.target ? construct(original, arguments, new.target) : reflectApply(original, this, arguments);
  } });
}
const OWNERS = [console, JSON, Reflect, Object, Promise, Promise.prototype, Function.prototype, Map.prototype, Set.prototype,
  WeakMap.prototype, Array.prototype, String.prototype, Headers.prototype, Request.prototype, Response.prototype, RegExp.prototype,
  TextEncoder.prototype, crypto, crypto.subtle, AbortController.prototype, EventTarget.prototype, Error];
for (const owner of OWNERS) for (const key of ownKeys(owner)) patch(owner, key);
`;

export const control: readonly Probe[] = [
  {
    name: "a function that patches every built-in sees no secret of the trusted code pass by",
    source: `
      ${SNOOP}
      export default { fetch: () => new Response(stringify({ patched: JSON.stringify !== stringify, seen })) };`,
    check: async (stage, script) => {
      for (let i = 0; i < 10; i++) {
        const { text } = await ask(stage, script, { path: `/${i}` });
        expect(JSON.parse(text)).toEqual({ patched: true, seen: [] });
      }
    },
  },
  {
    name: "a function with setters on the prototypes of all objects sees no secret of the trusted code pass by",
    source: `
      const seen = { __proto__: null, count: 0, texts: "" };
      const define = Object.defineProperty, isString = (value) => typeof value === "string";
      const set = function (value) {
        if (isString(value) && /skep |[0-9a-f]{32}/i.test(value)) { seen.count++; seen.texts += value; }
        define(this, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
      };
      let key;
      for (const name of ["0", "1", "2", "line", "token", "value", "message", "text", "args"]) {
        for (const prototype of [Object.prototype, Array.prototype]) define(prototype, name, { __proto__: null, configurable: true, get() { return undefined; },
          set(value) { key = name; set.call(this, value); } });
      }
      define(Object.prototype, "toJSON", { __proto__: null, configurable: true, get() { note(this); return undefined; } });
      function note(value) { if (isString(value) && /skep |[0-9a-f]{32}/i.test(value)) seen.texts += value; }
      export default { fetch() {
        const answer = "count " + seen.count + " " + seen.texts;
        return new Response(answer);
      } };`,
    check: async (stage, script) => {
      for (let i = 0; i < 10; i++) {
        expect((await ask(stage, script, { path: `/${i}` })).text).toBe("count 0 ");
      }
    },
  },
  {
    name: "a console replaced before the trusted code runs, or during a request, hears nothing of it",
    source: `
      const heard = [];
      const listener = new Proxy({}, { get: (target, key) => (...args) => { heard.push(String(key) + " " + args.join(" ")); } });
      globalThis.console = listener;
      export default { fetch() {
        globalThis.console = listener;
        return Response.json(heard.length === 0 ? {} : { heard });
      } };`,
    check: async (stage, script) => {
      for (let i = 0; i < 5; i++) {
        const { text } = await ask(stage, script);
        expect(JSON.parse(text)).toEqual({});
      }
    },
  },
  {
    name: "neither loader, hub nor telemetry is within a function's reach",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import * as workers from "cloudflare:workers";
      import { attempt } from "./attempt.js";
      const OWN = ["default", "SkepControl"];
      export default { fetch(request, env, ctx) {
        const ways = {
          control: () => typeof workers.WorkerEntrypoint,
          exports: () => Object.keys(ctx.exports ?? {}).filter((name) => !OWN.includes(name)).join() || null,
          "imported exports": () => Object.keys(workers.exports ?? {}).filter((name) => !OWN.includes(name)).join() || null,
          props: () => Object.keys(ctx.props ?? {}).join() || null,
          "this": function () { return typeof this?.env === "object" ? Object.keys(this.env).join() || null : null; },
          loader: () => (globalThis.WorkerLoader && new WorkerLoader()) || null,
          "loader get": () => env.LOADER.get("x", () => ({})),
          "loader module": async () => Object.keys(await import("cloudflare:worker-loader")).join(),
          facets: () => ctx.facets?.get("x", () => ({})),
          container: () => ctx.container,
          storage: () => ctx.storage,
          "control props": async () => JSON.stringify(await ctx.exports.SkepControl({ props: { x: 1 } }).env),
        };
        for (const name of ["Tail", "Telemetry", "Gate", "Outbound", "Egress", "EdgeControl", "PeerGate", "CellControl", "EdgeGate", "AdminGate", "Registry", "FunctionMetrics"]) {
          ways["exports " + name] = () => ctx.exports[name] && "there";
          ways["called " + name] = async () => (await ctx.exports[name]({ props: {} }).fetch("http://x/")).status;
        }
        return attempt(ways);
      } };`,
  },
  {
    // \`SkepControl\` is part of the function's own isolate: what it can be made to do, the function could do anyway.
    name: "the control entrypoint tells a function nothing and ends nobody but itself",
    source: `
      import { attempt } from "./attempt.js";
      export default { async fetch(request, env, ctx) {
        const { pathname } = new URL(request.url);
        if (pathname === "/ok") return new Response("ok");
        if (pathname === "/evict") {
          await ctx.exports.SkepControl.evict();
          return new Response("survived");
        }
        return attempt({
          keys: async () => {
            const control = ctx.exports.SkepControl;
            const offered = await control.ready();
            const { handlers, exports, ...more } = offered;
            return Object.keys(more).join() || null;
          },
          env: async () => Object.keys(await ctx.exports.SkepControl.env).join() || null,
          ctx: async () => Object.keys(await ctx.exports.SkepControl.ctx).join() || null,
          load: () => ctx.exports.SkepControl.load("victim"),
          token: () => ctx.exports.SkepControl.token,
          fetch: async () => (await ctx.exports.SkepControl.fetch("http://x/")).text(),
        });
      } };`,
    check: async (stage, script) => {
      expect(await obtained(stage, script)).toEqual({});
      const answer = await ask(stage, script, { path: "/evict" });
      expect(answer.text).not.toBe("survived");
      await stage.askVictim();
      await expectRecovers(stage, script);
    },
  },
  {
    name: "a function that ends its own isolate is loaded afresh",
    source: `
      import { abortIsolate } from "cloudflare:workers";
      export default { fetch(request) {
        if (new URL(request.url).pathname === "/ok") return new Response("ok");
        abortIsolate("mine");
      } };`,
    check: async (stage, script) => {
      for (let i = 0; i < 3; i++) await ask(stage, script, { path: "/abort" });
      await stage.askVictim();
      await expectRecovers(stage, script);
    },
  },
  {
    name: "a function's own SkepControl is not taken for the platform's",
    source: `
      import { WorkerEntrypoint } from "cloudflare:workers";
      let called = "";
      export class SkepControl extends WorkerEntrypoint {
        ready() { called += "ready "; return { handlers: ["forged"], exports: ["forged"] }; }
        evict() { called += "evict "; }
      }
      export const ready = () => { called += "export "; };
      export default { fetch: () => new Response(called) };`,
    check: async (stage, script) => {
      expect(await ask(stage, script)).toMatchObject({ status: 200, text: "" });
    },
  },
];

/** A failed answer of each edge may follow; then the function works as before. */
async function expectRecovers(stage: Parameters<typeof ask>[0], script: string): Promise<void> {
  const untilMs = Date.now() + 5_000;
  const answers: string[] = [];
  do {
    answers.length = 0;
    for (let i = 0; i < 5; i++) answers.push((await ask(stage, script, { path: "/ok" })).text);
  } while (answers.some((text) => text !== "ok") && Date.now() < untilMs);
  expect(answers).toEqual(["ok", "ok", "ok", "ok", "ok"]);
}
