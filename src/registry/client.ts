/**
 * The Registry as the rest of the hub calls it. The types that workerd derives for RPC cannot express
 * `unknown` JSON values, so they are restated here, once, from the class itself.
 */
import type { Registry } from "./registry.ts";

type Methods = Omit<Registry, "alarm" | "fetch" | `webSocket${string}` | `__${string}`>;

export type RegistryClient = {
  readonly [Name in keyof Methods]: Methods[Name] extends (...args: infer Args) => infer Returned
    ? (...args: Args) => Promise<Awaited<Returned>>
    : never;
};

export function registryOf(env: {
  readonly REGISTRY: DurableObjectNamespace<Registry>;
}): RegistryClient {
  return env.REGISTRY.getByName("registry") as unknown as RegistryClient;
}
