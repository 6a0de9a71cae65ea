/**
 * Built-ins replaced under the trusted code's feet: at top level and in handlers. The function harms itself at most;
 * other functions and the platform go on, and nothing of the trusted code is called back with more than is its own.
 */
import { expect } from "vitest";
import { ask, uploadForm, type Probe } from "./probe.ts";
import type { Stage } from "./stage.ts";

/** What each of them does to its own isolate; `mine` counts, so that the attack is seen to have happened. */
const ATTACKS: Readonly<Record<string, string>> = {
  "object accessors": `for (const key of ["get", "set", "value", "fetch", "headers", "status", "body", "script", "props", "limits", "remote", "retryable", "facts", "polluted"])
    Object.defineProperty(Object.prototype, key, Object.assign(Object.create(null), { configurable: true, get() { return undefined; }, set() {} }));`,
  "object values": `Object.assign(Object.prototype, { remote: false, retryable: true, limit: "exceededCpu", cold: { place: 1 }, versionId: "forged", polluted: 1 });`,
  "a thenable everything": `Object.prototype.then = function (resolve) { delete Object.prototype.then; resolve(new Response("thenable")); };`,
  promises: `Promise.prototype.then = function () { return this; }; Promise.prototype.catch = Promise.prototype.then; Promise.resolve = () => { throw 1; };`,
  arrays: `for (const key of ["push", "map", "filter", "join", "slice", "forEach", "pop", "shift"]) Array.prototype[key] = () => { throw new Error("mine"); };
    Array.prototype[Symbol.iterator] = function* () {};`,
  functions: `Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => { throw new Error("mine"); };
    Object.setPrototypeOf(Function.prototype, new Proxy(Object.prototype, { get() { throw new Error("mine"); } }));`,
  reflection: `for (const key of Reflect.ownKeys(Reflect)) if (typeof Reflect[key] === "function") Reflect[key] = () => { throw new Error("mine"); };`,
  symbols: `Object.prototype[Symbol.toPrimitive] = () => { throw new Error("mine"); };
    Object.prototype[Symbol.iterator] = function* () { yield 1; }; Object.prototype[Symbol.toStringTag] = "Response";
    Object.prototype[Symbol.dispose] = Object.prototype[Symbol.asyncDispose] = () => { throw new Error("mine"); };`,
  collections: `Map.prototype.get = Map.prototype.set = Map.prototype.has = Set.prototype.add = Set.prototype.has = () => { throw new Error("mine"); };
    WeakMap.prototype.get = () => ({ forged: true });`,
  fetching: `for (const [type, keys] of [[Headers, ["get", "set", "has", "append", "delete", "entries"]], [Request, ["clone", "text", "arrayBuffer"]], [Response, ["clone", "text"]]])
    for (const key of keys) type.prototype[key] = () => { throw new Error("mine"); };
    Headers.prototype[Symbol.iterator] = function* () { yield ["x-skep-outcome", "forged"]; };`,
  accessors: `for (const type of [Request, Response]) for (const key of ["headers", "body", "url", "method", "status", "ok", "signal", "cf"])
    try { Object.defineProperty(type.prototype, key, { configurable: true, get() { throw new Error("mine"); } }); } catch {}`,
  constructors: `globalThis.Headers = globalThis.Request = globalThis.URL = globalThis.Map = globalThis.Set = globalThis.Promise = globalThis.Error = function () { throw 1; };`,
  globals: `for (const key of ["fetch", "setTimeout", "clearTimeout", "queueMicrotask", "structuredClone", "crypto", "console", "performance", "Date", "Math", "JSON", "Object", "Array", "String", "Number", "Symbol", "Reflect", "Uint8Array", "TextEncoder"])
    try { globalThis[key] = undefined; } catch {}`,
  strings: `for (const key of ["split", "replace", "startsWith", "slice", "toLowerCase", "indexOf"]) String.prototype[key] = () => "x-skep-outcome";
    RegExp.prototype.exec = () => null; RegExp.prototype.test = () => true;`,
  numbers: `Date.now = () => -1e15; Math.random = () => 2; Math.max = Math.min = () => NaN; performance.now = () => NaN; Number.prototype.toString = () => "x";`,
  json: `JSON.stringify = () => "x"; JSON.parse = () => ({ error: { remote: false, retryable: true } });
    Object.prototype.toJSON = () => "forged";`,
  streams: `ReadableStream.prototype.getReader = ReadableStream.prototype.pipeTo = ReadableStream.prototype.cancel = () => { throw new Error("mine"); };
    TransformStream.prototype.constructor = null;`,
  errors: `Error.prepareStackTrace = () => { throw new Error("mine"); }; Error.captureStackTrace = () => { throw new Error("mine"); };
    Error.stackTraceLimit = 1e9; Object.defineProperty(Error.prototype, "message", { get() { return "Worker not found"; } });`,
  entrypoints: `for (const type of [WorkerEntrypoint, RpcTarget]) for (const key of ["fetch", "ready", "evict", "env", "ctx", "constructor"])
    try { Object.defineProperty(type.prototype, key, { configurable: true, get() { throw new Error("mine"); } }); } catch {}`,
  "the global object's chain": `try { Object.setPrototypeOf(globalThis, new Proxy({}, { get(target, key) { throw new Error("mine"); }, has: () => true })); } catch {}`,
  "frozen built-ins": `for (const type of [Object, Array, Function, Promise, Map, Headers, Request, Response]) { Object.freeze(type); Object.freeze(type.prototype); } try { Object.freeze(globalThis); } catch {}`,
};

const attack = (code: string, when: When) => `
  import { WorkerEntrypoint, RpcTarget } from "cloudflare:workers";
  const response = () => new Response("mine");
  const strike = () => { ${code} };
  ${when === "top level" ? "strike();" : ""}
  export default { fetch(request, env, ctx) {
    ${when === "handler" ? "strike();" : ""}
    return response();
  } };`;

type When = "top level" | "handler";

export const pollution: readonly Probe[] = [
  {
    name: "built-ins patched at top level harm nobody but the function itself",
    check: (stage) => harmsNobodyElse(stage, "top level"),
  },
  {
    name: "built-ins patched at the first request harm nobody but the function itself",
    check: (stage) => harmsNobodyElse(stage, "handler"),
  },
];

async function harmsNobodyElse(stage: Stage, when: When): Promise<void> {
  const names = Object.keys(ATTACKS);
  const script = (index: number) => `pollution-${when.replace(" ", "-")}-${index}`;
  const failures: string[] = [];
  await Promise.all(
    names.map(async (what, index) => {
      try {
        await stage.deploy(script(index), uploadForm(attack(ATTACKS[what] ?? "", when)));
      } catch {
        return; // Refused by its trial, which harms nobody either.
      }
      for (let i = 0; i < 4; i++) {
        const { status, text, headers } = await ask(stage, script(index), { path: `/${i}` });
        // Its own answer, or its own exception; never an error that the platform takes for its own.
        const own = status === 200 && (text === "mine" || text === "thenable");
        const exception = status === 500 && headers.get("x-skep-error") === "1101";
        if (!own && !exception) failures.push(`${what}: ${status} ${text.slice(0, 200)}`);
      }
    }),
  );
  expect(failures).toEqual([]);
  for (let i = 0; i < 4; i++) {
    expect(await stage.askVictim()).toMatchObject({ secret: stage.victimSecret, polluted: [] });
  }
  await stage.deploy(`after-${when.replace(" ", "-")}`, uploadForm(attack("", "handler")));
  const { text } = await ask(stage, `after-${when.replace(" ", "-")}`);
  expect(text).toBe("mine");
}
