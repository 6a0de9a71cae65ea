/** What the hub tells the store of a script (src/registry/script-events.ts). */
import type { InvocationSettings } from "../../protocol/invocations.ts";
import type { StoreConfig } from "../../protocol/store.ts";

export interface ScriptConfig extends StoreConfig {
  /** Its name, too. */
  readonly namespace: string;
  readonly settings: {
    readonly crons: readonly string[];
    /** null: it has none. */
    readonly invocations: InvocationSettings | null;
    /** It has classes of Durable Objects, or Workflows, and so may have data. */
    readonly hasObjects: boolean;
    /** It is a Worker of the account, outside of dispatch namespaces. */
    readonly isAccounts: boolean;
  };
}

/** What counts against a quota knows the account's own by their having no namespace. */
export function quotaConfig(config: ScriptConfig): StoreConfig {
  return config.settings.isAccounts ? { ...config, namespaceId: null, namespace: null } : config;
}
