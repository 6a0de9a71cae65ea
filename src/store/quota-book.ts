/** The book of one owner: what room it has lent to which object. What was lent never exceeds the limit (quota.ts). */
import { DurableObject } from "cloudflare:workers";
import { effectiveLimits, type LimitName, type LimitSettings } from "../protocol/limits.ts";
import { releaseRemote } from "./d1/remote-book.ts";
import type { StoreEnv } from "./env.ts";
import {
  MEASURES,
  type Holder,
  type Measure,
  type Owner,
  type QuotaHolder,
  type Released,
  type Usage,
} from "./quota.ts";

export interface Extended {
  readonly epoch: number;
  readonly lease: Usage;
  /** Why it is not as much as was wanted. */
  readonly refusal?: string;
}

/** Of one resource. */
export interface HolderUsage {
  readonly kind: Holder["kind"];
  readonly id: string;
  readonly usage: Usage;
}

const MIB = 1024 * 1024;

/** What is lent beyond what is wanted: at least this, or an eighth of it. */
const SPARE: Readonly<Record<Measure, number>> = {
  bytes: MIB,
  kv_keys: 1000,
  r2_objects: 1000,
  queue_messages: 1000,
};

const LIMIT_OF: Readonly<Record<Measure, { readonly name: LimitName; readonly unit: number }>> = {
  bytes: { name: "storage_mb", unit: MIB },
  kv_keys: { name: "kv_keys", unit: 1 },
  r2_objects: { name: "r2_objects", unit: 1 },
  queue_messages: { name: "queue_messages", unit: 1 },
};

const WORDS: Readonly<Record<Measure, string>> = {
  bytes: "bytes",
  kv_keys: "KV keys",
  r2_objects: "R2 objects",
  queue_messages: "queued messages",
};

/** Whoever is at the limit and goes on to write does not make every object of the owner work each time. */
const RECLAIM_INTERVAL_MS = 1000;
/** A database in a long import does not answer: others do not wait for its end. */
const RELEASE_WAIT_MS = 5_000;
/** Of reclaims that one asks for: the first may be one that spared somebody else. */
const MAX_ROUNDS = 3;

export class QuotaBook extends DurableObject<StoreEnv> {
  readonly #sql = this.ctx.storage.sql;
  #reclaimedMs = 0;
  #reclaim: Promise<unknown> | undefined;
  /** Who may have room to give back although the last reclaim was just now: it spared them, or they were lent some since. */
  readonly #spared = new Set<string>();
  /** They are asked to give back. */
  readonly #releasing = new Set<string>();

  constructor(ctx: DurableObjectState, env: StoreEnv) {
    super(ctx, env);
    this.#sql.exec(`
      CREATE TABLE IF NOT EXISTS holders (
        binding TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, epoch INTEGER NOT NULL,
        PRIMARY KEY (binding, name)
      ) STRICT;
      CREATE TABLE IF NOT EXISTS leases (
        binding TEXT NOT NULL, name TEXT NOT NULL, measure TEXT NOT NULL, amount INTEGER NOT NULL,
        PRIMARY KEY (binding, name, measure)
      ) STRICT;
    `);
  }

  /** `growing` are the measures of `wanted` that must be lent in full. None: the holder keeps only what it uses. */
  async extend(
    holder: Holder,
    owner: Owner,
    wanted: Usage,
    growing: readonly Measure[],
  ): Promise<Extended> {
    if (growing.length === 0) {
      await this.#reclaim;
      await this.#releaseAll([holder]);
    }
    const limits = this.#limits(owner.limits);
    let short = this.#lend(holder, limits, wanted, growing);
    for (let round = 0; short !== undefined && round < MAX_ROUNDS; round++) {
      const waitMs = this.#reclaimedMs + RECLAIM_INTERVAL_MS - Date.now();
      if (waitMs > 0) {
        const others = [...this.#spared].filter((key) => key !== keyOf(holder));
        if (others.length === 0) break;
        await scheduler.wait(waitMs);
      }
      await (this.#reclaim ?? this.#reclaimFrom(holder));
      short = this.#lend(holder, limits, wanted, growing);
    }
    const granted = { epoch: this.#epochOf(holder), lease: this.#leaseOf(holder) };
    if (short === undefined) return granted;
    return { ...granted, refusal: this.#refusal(holder, owner, short, wanted, limits) };
  }

  drop(holder: Holder): void {
    const { binding, name } = holder;
    this.#sql.exec(`DELETE FROM leases WHERE binding = ? AND name = ?`, binding, name);
    this.#sql.exec(`DELETE FROM holders WHERE binding = ? AND name = ?`, binding, name);
  }

  /** Of each resource that has ever kept anything, as it is now. */
  async usage(): Promise<HolderUsage[]> {
    await this.#reclaim;
    return this.#reclaimFrom(undefined);
  }

  /** The first measure there is not enough of. */
  #lend(
    holder: Holder,
    limits: Record<Measure, number>,
    wanted: Usage,
    growing: readonly Measure[],
  ): Measure | undefined {
    if (growing.length > 0 && this.#releasing.has(keyOf(holder))) {
      // In the middle of a transaction it can give nothing back before it has what it asks for: it keeps what it was lent.
      this.#setEpoch(holder, this.#epochOf(holder) + 1);
      this.#spared.add(keyOf(holder));
    }
    return this.ctx.storage.transactionSync(() => {
      const held = this.#leaseOf(holder);
      let short: Measure | undefined;
      for (const measure of growing) {
        const want = wanted[measure] ?? 0;
        const has = held[measure] ?? 0;
        const room = limits[measure] - this.#total(measure) + has;
        const spare = Math.max(SPARE[measure], Math.floor(want / 8));
        const amount = Math.max(has, Math.min(want + spare, room));
        if (amount < want) short ??= measure;
        if (amount <= has) continue;
        this.#setLease(holder, measure, amount);
        this.#spared.add(keyOf(holder));
      }
      return short;
    });
  }

  /** Takes back what nobody uses from all but `asking`. One at a time. */
  #reclaimFrom(asking: Holder | undefined): Promise<HolderUsage[]> {
    this.#reclaimedMs = Date.now();
    this.#spared.clear();
    if (asking !== undefined) this.#spared.add(keyOf(asking));
    const holders = this.#sql
      .exec<{ binding: string; name: string; kind: Holder["kind"] }>(
        `SELECT binding, name, kind FROM holders WHERE NOT (binding = ? AND name = ?) ORDER BY kind, name`,
        asking?.binding ?? "",
        asking?.name ?? "",
      )
      .toArray() as Holder[];
    const work = this.#releaseAll(holders).finally(() => (this.#reclaim = undefined));
    this.#reclaim = work;
    return work;
  }

  async #releaseAll(holders: readonly Holder[]): Promise<HolderUsage[]> {
    const found: HolderUsage[] = [];
    for (const holder of holders) {
      const key = keyOf(holder);
      this.#releasing.add(key);
      const usage = await this.#release(holder)
        .catch((error: unknown) => {
          // Its process may be away: it keeps what it has.
          console.error(`${key} gave nothing back: ${String(error)}`);
          return this.#leaseOf(holder);
        })
        .finally(() => this.#releasing.delete(key));
      found.push({ kind: holder.kind, id: holder.name, usage });
    }
    return found;
  }

  async #release(holder: Holder): Promise<Usage> {
    const epoch = this.#epochOf(holder) + 1;
    this.#setEpoch(holder, epoch);
    const { kept, usage } = await inTime(this.#takeBack(holder, epoch));
    const epochNow = this.#epochOf(holder);
    // Dropped meanwhile.
    if (epochNow === 0) return {};
    // Unless it was lent more meanwhile.
    if (epochNow === epoch) {
      for (const measure of MEASURES) this.#setLease(holder, measure, kept[measure] ?? 0);
    }
    return usage;
  }

  async #takeBack({ binding, name }: Holder, epoch: number): Promise<Released> {
    if (binding === "DATABASES") return releaseRemote(this.env.DATABASES, name, epoch);
    const objects = this.env[binding] as unknown as DurableObjectNamespace<QuotaHolder>;
    return (await objects.getByName(name).releaseQuota(epoch)) as Released;
  }

  #refusal(
    holder: Holder,
    { namespace }: Owner,
    measure: Measure,
    wanted: Usage,
    limits: Record<Measure, number>,
  ): string {
    const others = this.#total(measure) - (this.#leaseOf(holder)[measure] ?? 0);
    const needed = others + (wanted[measure] ?? 0);
    const { name, unit } = LIMIT_OF[measure];
    const limit = limits[measure] / unit;
    const [whose, remedy] =
      namespace === null
        ? ["the account", `--limits ${name}=... of skep start`]
        : [`the dispatch namespace '${namespace}'`, `skep limits ${namespace} ${name}=...`];
    return `${whose} may keep ${limits[measure]} ${WORDS[measure]} (${name}=${limit}), and with this it would keep ${needed}. Delete what is not needed, or have the limit raised: ${remedy}`;
  }

  #limits(settings: LimitSettings): Record<Measure, number> {
    const effective = effectiveLimits(this.env.STORE.limits, settings);
    return Object.fromEntries(
      MEASURES.map((measure) => {
        const { name, unit } = LIMIT_OF[measure];
        return [measure, effective[name] * unit];
      }),
    ) as Record<Measure, number>;
  }

  #total(measure: Measure): number {
    return (
      this.#sql
        .exec<{ total: number | null }>(
          `SELECT SUM(amount) AS total FROM leases WHERE measure = ?`,
          measure,
        )
        .one().total ?? 0
    );
  }

  #leaseOf({ binding, name }: Holder): Usage {
    const rows = this.#sql.exec<{ measure: Measure; amount: number }>(
      `SELECT measure, amount FROM leases WHERE binding = ? AND name = ?`,
      binding,
      name,
    );
    return Object.fromEntries([...rows].map(({ measure, amount }) => [measure, amount]));
  }

  #setLease(holder: Holder, measure: Measure, amount: number): void {
    const { binding, name } = holder;
    this.#setEpoch(holder, this.#epochOf(holder));
    this.#sql.exec(
      `INSERT INTO leases (binding, name, measure, amount) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET amount = excluded.amount`,
      binding,
      name,
      measure,
      amount,
    );
  }

  #epochOf({ binding, name }: Holder): number {
    const [row] = this.#sql.exec<{ epoch: number }>(
      `SELECT epoch FROM holders WHERE binding = ? AND name = ?`,
      binding,
      name,
    );
    return row?.epoch ?? 0;
  }

  #setEpoch({ binding, name, kind }: Holder, epoch: number): void {
    this.#sql.exec(
      `INSERT INTO holders (binding, name, kind, epoch) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET epoch = excluded.epoch`,
      binding,
      name,
      kind,
      epoch,
    );
  }
}

function keyOf({ binding, name }: Holder): string {
  return `${binding} ${name}`;
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = scheduler.wait(RELEASE_WAIT_MS, { signal: timer.signal }).then(
    () => {
      throw new Error(`it did not answer within ${RELEASE_WAIT_MS} ms`);
    },
    // It has answered.
    () => answer,
  );
  return Promise.race([answer, late]).finally(() => timer.abort());
}
