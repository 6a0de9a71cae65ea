/**
 * How much a dispatch namespace, or the account beside them, may keep: bytes, KV keys, R2 objects, messages (the limits of the
 * same names in src/protocol/limits.ts). One QuotaBook per owner (quota-book.ts) lends room to the objects of its resources; each
 * asks for more only when it has used up its share, so most writes ask nobody, and the sum never exceeds the limit.
 *
 * An object that keeps data (`class Kv extends DurableObject<StoreEnv> implements QuotaHolder`) has one QuotaLease:
 *
 *   readonly #quota = new QuotaLease(this.ctx, this.env, { binding: "KV", kind: "kv" }, () => this.#usage());
 *   releaseQuota(epoch: number): Released { return this.#quota.release(epoch); }
 *
 *   this.#quota.configure(config);                    whenever the store is told of the resource
 *   await this.#quota.drop();                         when the resource is deleted, before storage.deleteAll()
 *
 *   const room = await this.#quota.reserve({ bytes: 100, kv_keys: 1 });   before a write that adds as much
 *   try { ...write, so that usage() grows... } finally { room.free(); }
 *
 * `usage()` is called often: keep the sums in memory. What shrinks or replaces by something smaller need not reserve. `reserve`
 * rejects with a QuotaError, whose message is for whoever wrote: answer it with `QUOTA_STATUS` (507), or as the kind's protocol has it.
 */
import type { LimitSettings } from "../protocol/limits.ts";
import { quotaOwner, type StoreConfig, type StoreKind } from "../protocol/store.ts";
import type { QuotaBook } from "./quota-book.ts";
import type { StoreEnv } from "./env.ts";

export const MEASURES = ["bytes", "kv_keys", "r2_objects", "queue_messages"] as const;
export type Measure = (typeof MEASURES)[number];
export type Usage = Readonly<Partial<Record<Measure, number>>>;

export const QUOTA_STATUS = 507;

/** There is no more room. */
export class QuotaError extends Error {
  override readonly name = "QuotaError";
}

/** What counts: resources, and of scripts what waits for them and what came of it. */
export type HolderKind = StoreKind | "invocations" | "durable-objects";

/** Where the book finds an object again: the binding of its class in the store's env, and its name there, the id of the resource or script. */
export interface Holder {
  readonly binding: keyof StoreEnv;
  readonly kind: HolderKind;
  readonly name: string;
}

/** What the book calls. */
export interface QuotaHolder extends Rpc.DurableObjectBranded {
  releaseQuota(epoch: number): Released;
}

/** `kept`: what it goes on to hold; `usage`: what of it is in use. */
export interface Released {
  readonly kept: Usage;
  readonly usage: Usage;
}

export interface Reservation {
  free(): void;
}

/** For whom the book is. */
export interface Owner {
  /** Of the book. */
  readonly id: string;
  /** null: the account. */
  readonly namespace: string | null;
  readonly limits: LimitSettings;
}

const OWNER_KEY = "quota:owner";
const LEASE_KEY = "quota:lease";

export class QuotaLease {
  readonly #ctx: DurableObjectState;
  readonly #storage: DurableObjectStorage;
  readonly #env: StoreEnv;
  readonly #holder: Omit<Holder, "name">;
  readonly #usage: () => Usage;
  #owner: Owner | undefined;
  #lease: Usage;
  /** Reserved for writes under way. */
  #pending: Usage = {};
  /** Counts what the book took back, so that an answer it gave before is known to be old. */
  #epoch = 0;

  constructor(
    ctx: DurableObjectState,
    env: StoreEnv,
    holder: Omit<Holder, "name">,
    usage: () => Usage,
  ) {
    this.#ctx = ctx;
    this.#storage = ctx.storage;
    this.#env = env;
    this.#holder = holder;
    this.#usage = usage;
    this.#owner = this.#storage.kv.get(OWNER_KEY);
    this.#lease = this.#storage.kv.get(LEASE_KEY) ?? {};
  }

  configure(config: StoreConfig): void {
    const { accountId, namespaceId, namespace, limits, id } = config;
    const before = this.#stored();
    this.#owner = { id: quotaOwner(accountId, namespaceId), namespace, limits };
    this.#storage.kv.put(OWNER_KEY, { ...this.#owner, resource: id });
    if (before === undefined || JSON.stringify(before.limits) === JSON.stringify(limits)) return;
    // What was lent within other limits goes back.
    const holder = { ...this.#holder, name: id };
    this.#ctx.waitUntil(this.#book(before).extend(holder, this.#owner, {}, []));
  }

  /** Resolves at once while the object has room left. */
  reserve(growth: Usage): Reservation | Promise<Reservation> {
    return this.#covers(growth) ? this.#hold(growth) : this.#extend(growth);
  }

  /** For the book: gives back what is not in use. */
  release(epoch: number): Released {
    // What was asked before may come after.
    this.#epoch = Math.max(this.#epoch, epoch);
    const usage = this.#usage();
    this.#setLease(sum(usage, this.#pending));
    return { kept: this.#lease, usage };
  }

  async drop(): Promise<void> {
    const stored = this.#stored();
    if (stored === undefined) return;
    await this.#book(stored).drop({ ...this.#holder, name: stored.resource });
  }

  async #extend(growth: Usage): Promise<Reservation> {
    for (;;) {
      const owner = this.#stored();
      if (owner === undefined) throw new QuotaError("this resource was deleted");
      const epoch = this.#epoch;
      const wanted = sum(sum(this.#usage(), this.#pending), growth);
      const holder = { ...this.#holder, name: owner.resource };
      const answer = await this.#book(owner).extend(
        holder,
        owner,
        wanted,
        Object.keys(growth) as Measure[],
      );
      if (answer.epoch < this.#epoch) continue;
      if (epoch === this.#epoch) this.#setLease(most(this.#lease, answer.lease));
      if (this.#covers(growth)) return this.#hold(growth);
      if (answer.refusal !== undefined) throw new QuotaError(answer.refusal);
    }
  }

  #covers(growth: Usage): boolean {
    const usage = this.#usage();
    return MEASURES.every((measure) => {
      const more = growth[measure] ?? 0;
      const held = (usage[measure] ?? 0) + (this.#pending[measure] ?? 0);
      return more <= 0 || held + more <= (this.#lease[measure] ?? 0);
    });
  }

  #hold(growth: Usage): Reservation {
    this.#pending = sum(this.#pending, growth);
    return {
      free: () => {
        this.#pending = sum(this.#pending, negative(growth));
      },
    };
  }

  #setLease(lease: Usage): void {
    this.#lease = lease;
    this.#storage.kv.put(LEASE_KEY, lease);
  }

  #stored(): (Owner & { readonly resource: string }) | undefined {
    return this.#storage.kv.get(OWNER_KEY);
  }

  #book({ id }: Owner): DurableObjectStub<QuotaBook> {
    return this.#env.QUOTAS.getByName(id);
  }
}

function sum(a: Usage, b: Usage): Usage {
  return combine(a, b, (one, other) => one + other);
}

function most(a: Usage, b: Usage): Usage {
  return combine(a, b, Math.max);
}

function negative(usage: Usage): Usage {
  return combine(usage, {}, (one) => -one);
}

function combine(a: Usage, b: Usage, how: (a: number, b: number) => number): Usage {
  const measures = MEASURES.filter((measure) => measure in a || measure in b);
  return Object.fromEntries(
    measures.map((measure) => [measure, how(a[measure] ?? 0, b[measure] ?? 0)]),
  );
}
