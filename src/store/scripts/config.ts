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
  };
}
