/** Everything the store process is given, by the supervisor's workerd configuration. */
import type { PlatformLimits } from "../protocol/limits.ts";
import type { ChangeFollower } from "./changes/follower.ts";
import type { KvNamespace } from "./kv/namespace.ts";
import type { QueueObject } from "./queue/queue-object.ts";
import type { QuotaBook } from "./quota-book.ts";
import type { R2Bucket } from "./r2/bucket.ts";
import type { Invocations } from "./scripts/invocations.ts";
import type { ObjectRoom } from "./scripts/object-room.ts";
import type { Schedules } from "./scripts/schedules.ts";

export interface StoreEnv {
  /** Writable disk service: contents too large for a row, each in a file of its own, below a directory per kind. */
  readonly FILES: Fetcher;
  /** ControlGate of the process with D1 databases (d1/main.ts). */
  readonly DATABASES: Fetcher;
  readonly QUEUES: DurableObjectNamespace<QueueObject>;
  /** Of grants, hex (src/protocol/grants.ts). */
  readonly GRANT_KEY: string;
  /** One instance per bucket, named by its id. */
  readonly R2_BUCKET: DurableObjectNamespace<R2Bucket>;
  readonly STORE: {
    readonly edges: number;
    readonly limits: PlatformLimits;
  };
  readonly KV: DurableObjectNamespace<KvNamespace>;
  /** By `{kind}/{id}` of what is followed. */
  readonly CHANGES: DurableObjectNamespace<ChangeFollower>;
  /** By id of the owner (quota.ts). */
  readonly QUOTAS: DurableObjectNamespace<QuotaBook>;
  /** One instance (scripts/schedules.ts). */
  readonly SCHEDULES: DurableObjectNamespace<Schedules>;
  /** One instance per script that has any, named by its id. */
  readonly INVOCATIONS: DurableObjectNamespace<Invocations>;
  /** One instance per script with Durable Objects, named by its id. */
  readonly OBJECT_ROOMS: DurableObjectNamespace<ObjectRoom>;
  /** `events-N.sock` of each edge, EDGE_0 to EDGE_n (src/protocol/events.ts). */
  readonly [edge: `EDGE_${number}`]: Fetcher;
}
