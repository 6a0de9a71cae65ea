/** Says in the ledger of this process whose statements run, for the supervisor, which cannot ask while they do. */
import { env as bindings } from "cloudflare:workers";
import { Ledger } from "../../cell/ledger.ts";
import type { DatabasesEnv } from "./env.ts";

const env = bindings as unknown as DatabasesEnv;
/** Made at once: the supervisor looks for it when the process has started. */
const ledger = new Ledger(env.LEDGER_KEY);

/** `id`: of the database, a UUID. Nothing else runs meanwhile. */
export function underWay<T>(id: string, run: () => T): T {
  const entry = ledger.allocate(id);
  ledger.begin(entry, env.LANE.cpuMs, Date.now());
  try {
    return run();
  } finally {
    ledger.end(entry);
    ledger.free(entry);
  }
}
