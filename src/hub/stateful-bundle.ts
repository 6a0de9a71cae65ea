/** A bundle as a stateful cell takes it: with the start module, and shims for what the runtime has no binding of its own for. */
import { flagsFor, shimSource } from "../cell/shims.ts";
import type { Bundle, BundleModule, EnvValue } from "../protocol/bundle.ts";
import { startSource } from "../protocol/stateful.ts";

const NATIVE: ReadonlySet<EnvValue["type"]> = new Set(["kv", "r2", "d1", "queue", "workflow"]);

export function statefulBundle(bundle: Bundle): Bundle {
  const taken = new Set(bundle.modules.map(({ name }) => name.replace(/^(\.\/)+/, "")));
  const keys = new Set(bundle.objects?.classes.map(({ key }) => key));
  const isNative = (value: EnvValue) =>
    NATIVE.has(value.type) || (value.type === "durable-object-namespace" && keys.has(value.key));
  const shimmed = Object.entries(bundle.env).filter(([, value]) => !isNative(value));
  const shims = shimSource(Object.fromEntries(shimmed));
  const shim = shims === undefined ? undefined : freeName(taken, "skep-bindings.js");
  const start = freeName(taken, "skep-start.js");
  const main = bundle.mainModule.replace(/^(\.\/)+/, "");
  return {
    ...bundle,
    compatibilityFlags: [...bundle.compatibilityFlags, ...flagsFor(bundle)],
    mainModule: start,
    modules: [
      ...bundle.modules,
      esModule(start, startSource(main, shim)),
      ...(shim === undefined ? [] : [esModule(shim, shims as string)]),
    ],
  };
}

function esModule(name: string, source: string): BundleModule {
  return { name, type: "esm", content: new TextEncoder().encode(source) };
}

/** A name that none of the script's modules has. */
function freeName(taken: ReadonlySet<string>, wanted: string): string {
  let name = wanted;
  for (let n = 1; taken.has(name); n++) name = `${n}-${wanted}`;
  return name;
}
