/**
 * The trusted module that every function starts from. It imports the tenant's main module, re-exports
 * what that exports and adds one entrypoint, `SkepControl`, that only the owner of the loader stub can
 * reach from outside:
 *
 *   ready()  resolves when compiling and top-level code are done, with what the module offers
 *   evict()  ends the isolate; work in flight on other requests finishes, new ones need a fresh load.
 *            The call itself always rejects.
 *
 * The tenant's handlers are not wrapped: a warm request pays nothing for this module.
 */

export const CONTROL_ENTRYPOINT = "SkepControl";

const CONTROL_SOURCE = `
export class ${CONTROL_ENTRYPOINT} extends WorkerEntrypoint {
  ready() { return offered(); }
  evict() { abortIsolate("evicted"); }
}
`;

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

/** The start module for ES module syntax. */
export function wrapModule(mainModule: string): string {
  const specifier = JSON.stringify(`./${mainModule}`);
  return `import { WorkerEntrypoint, abortIsolate } from "cloudflare:workers";
import * as tenant from ${specifier};
export * from ${specifier};
export default tenant.default ?? {};
${OFFERED_BY_MODULE}${CONTROL_SOURCE}`;
}

/**
 * The start module for service-worker syntax: no default export, so the runtime dispatches to the
 * listeners that the script adds. `globalsModule` runs first, the script is a CommonJS module, which
 * keeps it in sloppy mode as a classic script is.
 */
export function wrapServiceWorker(script: string, globalsModule: string): string {
  return `import { WorkerEntrypoint, abortIsolate } from "cloudflare:workers";
import { listened } from ${JSON.stringify(`./${globalsModule}`)};
import ${JSON.stringify(`./${script}`)};
function offered() { return { handlers: [...listened], exports: [] }; }
${CONTROL_SOURCE}`;
}

/**
 * Puts bindings where service-worker syntax expects them, on the global object, and notes for which
 * events the script listens. `moduleGlobals` maps global names to module specifiers.
 */
export function serviceWorkerGlobals(moduleGlobals: Readonly<Record<string, string>>): string {
  const entries = Object.entries(moduleGlobals);
  const imports = entries.map(
    ([, module], index) => `import m${index} from ${JSON.stringify(`./${module}`)};`,
  );
  const assigns = entries.map(
    ([name], index) => `globalThis[${JSON.stringify(name)}] = m${index};`,
  );
  return `import { env } from "cloudflare:workers";
${imports.join("\n")}
export const listened = new Set();
const add = globalThis.addEventListener;
globalThis.addEventListener = function (type, ...rest) {
  listened.add(type);
  return Reflect.apply(add, globalThis, [type, ...rest]);
};
for (const name of Object.keys(env)) globalThis[name] = env[name];
${assigns.join("\n")}
`;
}
