/**
 * The trusted modules that every function starts from. The start module imports the tenant's main module,
 * re-exports what that exports and adds one entrypoint, `SkepControl`, for the owner of the loader stub:
 *
 *   ready(token?)  resolves when compiling and top-level code are done, with what the module offers
 *   pending()      how many promises that were given to `waitUntil` are not settled
 *   mark()         in a marked isolate: writes the marker, for calls of other exports than the default one
 *   evict()        ends the isolate: responses and WebSockets under way finish, `waitUntil` work is lost, new
 *                  requests need a fresh load. The call itself always rejects.
 *
 * Only in a `marked` isolate the tenant's handlers are wrapped: each call of one writes MARKER and the token to
 * the process's output first. The token must stay unknown to the tenant, who could otherwise pretend to make
 * progress. So it is no part of the source, which tenants can read under `/bundle`, but comes with the first call
 * of `ready`, before any event; and no code of the tenant runs while the marker is written: what that takes was
 * captured before the tenant's modules ran (CAPTURED_SOURCE), and SkepControl is frozen.
 */
import { MARKER } from "../protocol/ledger.ts";

export const CONTROL_ENTRYPOINT = "SkepControl";

/**
 * Evaluated before any module of the tenant. The tenant may import it: it holds nothing secret.
 *
 * console.log is partly JavaScript and calls some built-ins by name, which the tenant may have replaced by ones
 * that look at what they get. So those are put back while a line is written; where the tenant has made that
 * impossible, the line is left out.
 */
export const CAPTURED_SOURCE = `
export const { apply, construct, get: read } = Reflect;
export const { freeze, getPrototypeOf } = Object;
export const Captured = Proxy;
const { defineProperty, getOwnPropertyDescriptor, setPrototypeOf } = Reflect;
const { hasOwn } = Object;
const trueConsole = console;
const { log } = console;
const { then } = Promise.prototype;
const { resolve } = Promise;
const TruePromise = Promise;
export function promised(value) { return apply(resolve, TruePromise, [value]); }
export function whenSettled(promise, call) { apply(then, promise, [call, call]); }

// Without a prototype, from which a descriptor would take what it does not have itself.
function describe(object, key) {
  const descriptor = getOwnPropertyDescriptor(object, key);
  if (descriptor !== undefined) setPrototypeOf(descriptor, null);
  return descriptor;
}
function guarded(object, key) { return { object, key, original: describe(object, key), found: undefined }; }
const guards = [
  guarded(Array.prototype, "pop"),
  guarded(Array.prototype, Symbol.iterator),
  guarded(getPrototypeOf([][Symbol.iterator]()), "next"),
  guarded(JSON, "stringify"),
  guarded(globalThis, "JSON"),
];
const COUNT = guards.length;
export function writeLine(line) {
  let ready = true;
  for (let i = 0; i < COUNT; i++) {
    const guard = guards[i];
    const found = getOwnPropertyDescriptor(guard.object, guard.key);
    if (found !== undefined && hasOwn(found, "value") && found.value === guard.original.value) continue;
    if (found !== undefined) setPrototypeOf(found, null);
    if (defineProperty(guard.object, guard.key, guard.original)) guard.found = found ?? guard.original;
    else ready = false;
  }
  if (ready) apply(log, trueConsole, [line]);
  for (let i = 0; i < COUNT; i++) {
    const guard = guards[i];
    if (guard.found === undefined) continue;
    defineProperty(guard.object, guard.key, guard.found);
    guard.found = undefined;
  }
}
`;

/**
 * Counts what is given to the waitUntil of a prototype. A thenable is adopted once, as without this.
 * `import { waitUntil } from "cloudflare:workers"` goes uncounted.
 */
const COUNT_WAIT_UNTIL = `
let pending = 0;
const settled = () => { pending--; };
let counted = false;
function countWaitUntil(prototype) {
  if (counted) return;
  counted = true;
  const { waitUntil: original } = prototype;
  prototype.waitUntil = function waitUntil(promise) {
    if (arguments.length === 0) return apply(original, this, []);
    const task = promised(promise);
    const result = apply(original, this, [task]);
    pending++;
    whenSettled(task, settled);
    return result;
  };
}
`;

const MARK = `
let line;
const mark = () => { if (line !== undefined) writeLine(line); };
`;

function controlSource(contexts: string, isMarked: boolean): string {
  return `
export class ${CONTROL_ENTRYPOINT} extends WorkerEntrypoint {
  ready(token) {
    ${isMarked ? `line ??= ${JSON.stringify(MARKER)} + token;` : ""}
    countWaitUntil(${contexts});
    return offered();
  }
  pending() { return pending; }
  ${isMarked ? "mark() { mark(); }" : ""}
  evict() { abortIsolate("evicted"); }
}
freeze(${CONTROL_ENTRYPOINT});
freeze(${CONTROL_ENTRYPOINT}.prototype);
`;
}

/** Handlers of an object or of an entrypoint class, and the names of exported classes. */
const OFFERED_BY_MODULE = `
const isClass = (value) => typeof value === "function" && value.prototype !== undefined;
function offered() {
  const main = tenant.default ?? {};
  const source = isClass(main) ? main.prototype : main;
  const handlers = new Set();
  for (let o = source; o && o !== Object.prototype && o !== WorkerEntrypoint.prototype; o = Object.getPrototypeOf(o))
    for (const name of Object.getOwnPropertyNames(o))
      if (name !== "constructor" && typeof Object.getOwnPropertyDescriptor(o, name).value === "function") handlers.add(name);
  const exports = Object.keys(tenant).filter((name) => name !== "default" && isClass(tenant[name]));
  return { handlers: [...handlers], exports };
}
`;

/**
 * Handlers that are called as methods, such as `tail`, have to be properties of the object itself.
 * The runtime makes an instance of an entrypoint class for each event, and reads the handlers of an object once.
 * The proxy of an object has a target of its own, since it must not answer otherwise than a frozen target would.
 */
const MARKED_DEFAULT = `
const main = tenant.default ?? {};
function handlerNamed(_, name) {
  const value = read(main, name);
  if (typeof value !== "function") return value;
  return function () { mark(); return apply(value, main, arguments); };
}
export default typeof main === "function"
  ? new Captured(main, { __proto__: null, construct(type, args) { mark(); return construct(type, args); } })
  : new Captured({}, {
      __proto__: null,
      get: handlerNamed,
      getOwnPropertyDescriptor(_, name) {
        const value = handlerNamed(_, name);
        if (value === undefined) return undefined;
        return { __proto__: null, value, writable: true, enumerable: true, configurable: true };
      },
    });
`;

export interface StartOptions {
  /** Specifier of the module with CAPTURED_SOURCE. */
  readonly captured: string;
  /** Of the module that makes bindings what they have to be (shims.ts); undefined: there is none. */
  readonly shim: string | undefined;
  readonly isMarked: boolean;
}

function importOf(shim: string | undefined): string {
  return shim === undefined ? "" : `import ${JSON.stringify(`./${shim}`)};\n`;
}

/** The start module for ES module syntax. */
export function wrapModule(mainModule: string, { captured, shim, isMarked }: StartOptions): string {
  const specifier = JSON.stringify(`./${mainModule}`);
  return `import { WorkerEntrypoint, abortIsolate } from "cloudflare:workers";
import { ${IMPORTED} } from ${JSON.stringify(`./${captured}`)};
${importOf(shim)}import * as tenant from ${specifier};
export * from ${specifier};
${isMarked ? MARK + MARKED_DEFAULT : "export default tenant.default ?? {};"}
${OFFERED_BY_MODULE}${COUNT_WAIT_UNTIL}${controlSource("getPrototypeOf(this.ctx)", isMarked)}`;
}

const IMPORTED =
  "Captured, apply, construct, freeze, getPrototypeOf, promised, read, whenSettled, writeLine";

/**
 * The start module for service-worker syntax: no default export, so the runtime dispatches to the
 * listeners that the script adds. `globalsModule` runs first, the script is a CommonJS module, which
 * keeps it in sloppy mode as a classic script is.
 */
export function wrapServiceWorker(script: string, globalsModule: string): string {
  return `export { ${CONTROL_ENTRYPOINT} } from ${JSON.stringify(`./${globalsModule}`)};
import ${JSON.stringify(`./${script}`)};
`;
}

/**
 * Puts bindings where service-worker syntax expects them, on the global object, notes for which events the
 * script listens, and holds SkepControl. `moduleGlobals` maps global names to module specifiers.
 */
export function serviceWorkerGlobals(
  moduleGlobals: Readonly<Record<string, string>>,
  { captured, shim, isMarked }: StartOptions,
): string {
  const entries = Object.entries(moduleGlobals);
  const imports = entries.map(
    ([, module], index) => `import m${index} from ${JSON.stringify(`./${module}`)};`,
  );
  const assigns = entries.map(
    ([name], index) => `globalThis[${JSON.stringify(name)}] = m${index};`,
  );
  return `import { WorkerEntrypoint, abortIsolate, env } from "cloudflare:workers";
import { ${IMPORTED} } from ${JSON.stringify(`./${captured}`)};
${importOf(shim)}${imports.join("\n")}
const listened = new Set();
function offered() { return { handlers: [...listened], exports: [] }; }
${COUNT_WAIT_UNTIL}
countWaitUntil(ExtendableEvent.prototype);
${isMarked ? MARK + MARKED_LISTENERS : "const listener = (original) => original;"}
const add = globalThis.addEventListener;
globalThis.addEventListener = function (type, original, ...rest) {
  listened.add(type);
  return Reflect.apply(add, globalThis, [type, listener(original), ...rest]);
};
${isMarked ? REMOVE_LISTENER : ""}
for (const name of Object.keys(env)) globalThis[name] = env[name];
${assigns.join("\n")}
${controlSource("ExtendableEvent.prototype", isMarked)}`;
}

/** The same listener gets the same wrapper, so that adding it twice and removing it work as without one. */
const MARKED_LISTENERS = `
const wrappers = new WeakMap();
const { get, set } = WeakMap.prototype;
function listener(original) {
  if (original === null || (typeof original !== "function" && typeof original !== "object")) return original;
  let wrapper = apply(get, wrappers, [original]);
  if (wrapper === undefined) {
    wrapper = typeof original === "function"
      ? function () { mark(); return apply(original, this, arguments); }
      : { handleEvent() { mark(); return apply(original.handleEvent, original, arguments); } };
    apply(set, wrappers, [original, wrapper]);
  }
  return wrapper;
}
`;

const REMOVE_LISTENER = `
const remove = globalThis.removeEventListener;
globalThis.removeEventListener = function (type, original, ...rest) {
  return Reflect.apply(remove, globalThis, [type, listener(original), ...rest]);
};
`;
