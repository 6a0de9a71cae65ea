/**
 * Turns a bundle into what the Worker Loader takes. Pure; the caller owns the loader and the outbound.
 */
import { isBindingValue, type Bundle, type BundleModule } from "../protocol/bundle.ts";
import type { Bind } from "./bindings.ts";
import { flagsFor, shimSource } from "./shims.ts";
import { CAPTURED_SOURCE, serviceWorkerGlobals, wrapModule, wrapServiceWorker } from "./wrapper.ts";

/**
 * `outbound` null: the function's `fetch` and `connect` fail. `isMarked`: handlers write a marker line, once
 * `ready` has brought the token. `bind` makes the bindings that are objects; without it they are undefined.
 */
export function toWorkerCode(
  bundle: Bundle,
  outbound: Fetcher | null,
  isMarked = false,
  bind?: Bind,
): WorkerLoaderWorkerCode {
  const modules: Record<string, WorkerLoaderModule> = {};
  for (const module of bundle.modules) {
    const loaded = toLoaderModule(module);
    if (loaded) modules[plainName(module.name)] = loaded;
  }
  const mainModule = plainName(bundle.mainModule);
  const start = freeName(modules, "skep-start.js");
  const captured = freeName(modules, "skep-captured.js");
  modules[captured] = { js: CAPTURED_SOURCE };
  const shims = shimSource(bundle.env);
  const shim = shims === undefined ? undefined : freeName(modules, "skep-bindings.js");
  if (shim !== undefined) modules[shim] = { js: shims as string };
  const options = { captured, shim, isMarked };
  if (bundle.syntax === "modules") {
    modules[start] = { js: wrapModule(mainModule, options) };
  } else {
    const globals = freeName(modules, "skep-globals.js");
    modules[globals] = { js: serviceWorkerGlobals(moduleGlobals(bundle), options) };
    modules[start] = { js: wrapServiceWorker(mainModule, globals) };
  }
  return {
    compatibilityDate: bundle.compatibilityDate,
    compatibilityFlags: [...bundle.compatibilityFlags, ...flagsFor(bundle)],
    mainModule: start,
    modules,
    env: makeEnv(bundle, bind),
    globalOutbound: outbound,
  };
}

/** Whether a module may import `waitUntil`, whose work nothing can count (wrapper.ts). */
export function mayImportWaitUntil({ modules }: Bundle): boolean {
  return modules.some(({ type, content }) => {
    if (type !== "esm" && type !== "cjs") return false;
    const source = new TextDecoder().decode(content);
    return source.includes("cloudflare:workers") && source.includes("waitUntil");
  });
}

/** The loader resolves `./x` against the importing module's path, so names are kept without `./`. */
function plainName(name: string): string {
  return name.replace(/^(\.\/)+/, "");
}

/** A name that none of the tenant's modules has. */
function freeName(modules: Record<string, unknown>, wanted: string): string {
  let name = wanted;
  for (let n = 1; name in modules; n++) name = `${n}-${wanted}`;
  return name;
}

/** undefined: the module is not for the runtime (source maps). */
function toLoaderModule({ type, content }: BundleModule): WorkerLoaderModule | undefined {
  const text = () => new TextDecoder().decode(content);
  switch (type) {
    case "esm":
      return { js: text() };
    case "cjs":
      return { cjs: text() };
    case "text":
      return { text: text() };
    // The loader reads a whole ArrayBuffer; the contents are views into the bundle's buffer.
    case "data":
      return { data: copy(content) };
    case "wasm":
      return { wasm: copy(content) };
    case "source-map":
      return undefined;
  }
}

function copy(content: Uint8Array): ArrayBuffer {
  return new Uint8Array(content).buffer;
}

function moduleGlobals(bundle: Bundle): Record<string, string> {
  const globals: Record<string, string> = {};
  for (const [name, value] of Object.entries(bundle.env)) {
    if (value.type === "module") globals[name] = plainName(value.module);
  }
  return globals;
}

function makeEnv(bundle: Bundle, bind: Bind | undefined): Record<string, unknown> {
  const env: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(bundle.env)) {
    if (value.type === "value") env[name] = value.value;
    else if (isBindingValue(value)) env[name] = bind?.(value);
  }
  return env;
}
