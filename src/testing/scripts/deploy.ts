/** Changing the scripts of a dispatch namespace while Miniflare runs. In Node and in workerd alike. */
import type { PackedScript } from "./packed.ts";
import { packScript, type InlineScript } from "./source.ts";

/** The binding's methods for this. They are not enumerable, and no dispatcher trips over such names. */
export const DEPLOY = "skep.deploy";
export const REMOVE = "skep.remove";

interface Admin {
  [DEPLOY]?(name: string, script: PackedScript): Promise<void>;
  [REMOVE]?(name: string): Promise<void>;
}

/**
 * Deploys a new version; the next request gets it. `namespace` is the binding: in Node from
 * `miniflare.getBindings()`, in a test inside workerd from `env`. A restart of Miniflare undoes it.
 */
export async function deploy(namespace: object, name: string, script: InlineScript): Promise<void> {
  const { [DEPLOY]: call } = namespace as Admin;
  if (call === undefined) throw notOurs();
  await call(name, packScript(name, script));
}

/** From the next request on there is no such script. */
export async function remove(namespace: object, name: string): Promise<void> {
  const { [REMOVE]: call } = namespace as Admin;
  if (call === undefined) throw notOurs();
  await call(name);
}

function notOurs(): TypeError {
  return new TypeError(
    "this is not the binding of a dispatch namespace made by dispatchNamespaces()",
  );
}
