/** What the store knows to do with each kind of thing. */
import type { ConfigKind } from "../protocol/store.ts";
import { d1 } from "./d1/forward.ts";
import type { StoreEnv } from "./env.ts";
import { r2 } from "./r2/kind.ts";
import { queues } from "./queue/kind.ts";
import { kv } from "./kv/kind.ts";
import { scripts } from "./scripts/kind.ts";

export interface Kind {
  /** A request in the wire protocol of the runtime's binding. */
  bind(
    request: Request,
    id: string,
    env: StoreEnv,
    ctx: Pick<ExecutionContext, "waitUntil">,
  ): Promise<Response>;
  /** What the API asks beyond that; the path begins with kind and id. */
  administer(request: Request, id: string, env: StoreEnv): Promise<Response>;
  /** Takes the whole configuration; null: the thing and its data go. Idempotent. */
  configure(config: unknown, id: string, env: StoreEnv): Promise<void>;
}

export const kinds: Readonly<Record<ConfigKind, Kind>> = {
  kv,
  r2,
  d1,
  queue: queues,
  script: scripts,
};
