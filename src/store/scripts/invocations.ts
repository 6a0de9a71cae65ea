/**
 * The asynchronous invocations of one script. Each is a row before its id is given out and until long after it ended; what
 * was begun by a process that is gone is begun again, since nobody knows how it ended. Then its destination is told.
 */
import { DurableObject } from "cloudflare:workers";
import { EVENT_WALL_MS, type EventDelivery, type EventResult } from "../../protocol/events.ts";
import type {
  Destination,
  InvocationDetail,
  InvocationRecord,
  InvocationState,
  NewInvocation,
} from "../../protocol/invocations.ts";
import {
  DEFAULT_INVOCATION_SETTINGS,
  type InvocationSettings,
} from "../../protocol/invocations.ts";
import type { StoreEnv } from "../env.ts";
import { currentLife, lostResult } from "../life.ts";
import {
  QuotaError,
  QuotaLease,
  type QuotaHolder,
  type Released,
  type Reservation,
} from "../quota.ts";
import { quotaConfig, type ScriptConfig } from "./config.ts";
import { carry, type Errand, type Report } from "./courier.ts";
import {
  r2Of,
  RECORD_COLUMNS,
  TABLES,
  toDetail,
  told,
  toRecord,
  type InvocationRow,
  type RecordRow,
} from "./invocation-rows.ts";
import { KeptBytes, ROW_BYTES } from "./kept-bytes.ts";
import { nextTry } from "./next-try.ts";

/** Calls of one function under way at once, and those to destinations. */
const MAX_UNDER_WAY = 100;

/** Of one script: those that have not ended, or whose destination was not told yet, and what their payloads take. */
const MAX_PENDING = 100_000;
const MAX_PENDING_BYTES = 1024 ** 3;

/** Ended ones that are remembered, and those of them whose responses are. */
const KEPT = 10_000;
const KEPT_RESPONSES = 500;
/** To look for old ones costs as much as many invocations do. */
const FORGET_EVERY = 100;

const SETTLED = `ended_ms IS NOT NULL AND next_ms IS NULL AND life IS NULL`;
/** Than the newest so many. */
const OLDER_THAN = `seq <= (SELECT seq FROM invocations ORDER BY seq DESC LIMIT 1 OFFSET ?)`;

/** Nobody has reported a try after this long: nobody will. */
const LEASE_MS = EVENT_WALL_MS + 5 * 60_000;
const WATCH_MS = 60_000;

/** A destination that does not take it is tried so often, later and later. */
const MAX_TELLINGS = 15;
const MAX_TELL_WAIT_MS = 30 * 60_000;

/** Whose, and how. */
type Config = Pick<ScriptConfig, "id" | "namespace" | "name"> & {
  readonly settings: InvocationSettings;
};

type Ending = Pick<InvocationRow, "seq" | "type">;

export type Created =
  | { readonly refused: string; readonly why: "too many" | "over quota" }
  | {
      readonly record: InvocationDetail;
      /** For the caller, who waits for its end. */
      readonly errand: (Errand & { does: "deliver" }) | null;
    };

export class Invocations extends DurableObject<StoreEnv> implements QuotaHolder {
  readonly #sql: SqlStorage;
  readonly #kept: KeptBytes;
  readonly #quota = new QuotaLease(
    this.ctx,
    this.env,
    { binding: "INVOCATIONS", kind: "invocations" },
    () => ({ bytes: this.#kept.sum }),
  );
  #settledCount = 0;
  /** Those with which something is still to happen: their destinations may be told later and later. */
  readonly #pending: { count: number; bytes: number };

  constructor(ctx: DurableObjectState, env: StoreEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(TABLES);
    this.#kept = new KeptBytes(this.#sql);
    this.#pending = this.#sql
      .exec<{ count: number; bytes: number }>(
        `SELECT COUNT(*) AS count, COALESCE(SUM(payload_bytes), 0) AS bytes FROM invocations
         WHERE next_ms IS NOT NULL OR life IS NOT NULL`,
      )
      .one();
  }

  /** null: the script is gone. What waits fails, destinations are told, and then all of it goes. */
  async configure(config: ScriptConfig | null): Promise<void> {
    if (config !== null) {
      const { id, namespace, name, settings } = config;
      const own: Config = {
        id,
        namespace,
        name,
        settings: settings.invocations ?? DEFAULT_INVOCATION_SETTINGS,
      };
      this.#sql.exec(
        `INSERT OR REPLACE INTO config (id, json, is_gone) VALUES (1, ?, 0)`,
        JSON.stringify(own),
      );
      this.#quota.configure(quotaConfig(config));
      return;
    }
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      this.#sql.exec(`UPDATE config SET is_gone = 1`);
      const found = this.#config();
      if (found === null) return;
      // All that wait, which may be many: without what they carry.
      for (const row of this.#sql
        .exec<Ending>(`SELECT seq, type FROM invocations WHERE state = 'waiting'`)
        .toArray()) {
        this.#finish(
          row,
          found.config.settings,
          { state: "failed", error: "the function was deleted" },
          nowMs,
        );
      }
    });
    await this.#begin(nowMs);
  }

  async create(wanted: NewInvocation): Promise<Created> {
    const known = this.#known(wanted);
    if (known !== null) return known;
    let room: Reservation;
    try {
      room = await this.#quota.reserve({ bytes: ROW_BYTES + JSON.stringify(wanted).length });
    } catch (error) {
      if (error instanceof QuotaError) return { refused: error.message, why: "over quota" };
      throw error;
    }
    try {
      return this.ctx.storage.transactionSync(() => this.#create(wanted, Date.now()));
    } finally {
      room.free();
    }
  }

  releaseQuota(epoch: number): Released {
    return this.#quota.release(epoch);
  }

  /** What is waiting is begun. */
  override async alarm(): Promise<void> {
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => this.#takeLost(nowMs));
    await this.#begin(nowMs);
  }

  /** By the courier. */
  async take(reports: readonly Report[]): Promise<void> {
    const rooms: Reservation[] = [];
    const nowMs = Date.now();
    try {
      const responses = new Map<Report, string | null>();
      for (const report of reports) {
        if ("result" in report) responses.set(report, await this.#keepable(report.result, rooms));
      }
      this.ctx.storage.transactionSync(() => {
        for (const report of reports) {
          if (!("result" in report)) this.#told(report.key, report.error, nowMs);
          else this.#ended(report.key, report.result, responses.get(report) ?? null, nowMs);
        }
      });
    } finally {
      for (const room of rooms) room.free();
    }
    await this.#begin(nowMs);
  }

  detail(id: string): InvocationDetail | null {
    const [row] = this.#rows(`id = ?`, id);
    return row === undefined ? null : toDetail(row);
  }

  /** The newest first, before the one with the id `before`. */
  list(
    states: readonly InvocationState[],
    limit: number,
    before: string | null,
  ): InvocationRecord[] {
    return this.#sql
      .exec<RecordRow>(
        `SELECT ${RECORD_COLUMNS} FROM invocations WHERE state IN (SELECT value FROM json_each(?))
         AND seq < COALESCE((SELECT seq FROM invocations WHERE id = ?), 9e15) ORDER BY seq DESC LIMIT ?`,
        JSON.stringify(states),
        before,
        limit,
      )
      .toArray()
      .map(toRecord);
  }

  #create(wanted: NewInvocation, nowMs: number): Created {
    const known = this.#known(wanted);
    if (known !== null) return known;
    const { type, idempotencyKey, contentType, payload } = wanted;
    const { count, bytes } = this.#pending;
    if (count >= MAX_PENDING || bytes >= MAX_PENDING_BYTES) {
      const refused = `${count} invocations of this function wait already, which is the most`;
      return { refused, why: "too many" };
    }
    const body = "bytes" in payload ? Uint8Array.fromBase64(payload.bytes) : null;
    const isWaitedFor = type === "RequestResponse";
    const row = this.#sql
      .exec<InvocationRow>(
        `INSERT INTO invocations (id, type, idempotency_key, content_type, payload, r2, payload_bytes, state,
           next_ms, life, began_ms, created_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *`,
        crypto.randomUUID(),
        type,
        idempotencyKey,
        contentType,
        body,
        "r2" in payload ? JSON.stringify(payload.r2) : null,
        body?.byteLength ?? null,
        isWaitedFor ? "running" : "waiting",
        isWaitedFor ? null : nowMs,
        isWaitedFor ? currentLife() : null,
        isWaitedFor ? nowMs : null,
        nowMs,
      )
      .one();
    this.#kept.add(row.seq);
    this.#pending.count++;
    this.#pending.bytes += row.payload_bytes ?? 0;
    this.#wake(nowMs);
    return { record: toDetail(row), errand: isWaitedFor ? this.#errandOf(row) : null };
  }

  #takeLost(nowMs: number): void {
    const lost = this.#rows(
      `life IS NOT NULL AND (life <> ? OR began_ms < ?)`,
      currentLife(),
      nowMs - LEASE_MS,
    );
    for (const { seq, state, life } of lost) {
      const result = lostResult(life);
      if (state === "running") this.#ended(seq, result, null, nowMs);
      else this.#told(seq, result.message, nowMs);
    }
  }

  async #begin(nowMs: number): Promise<void> {
    const { name, errands } = this.ctx.storage.transactionSync(() => this.#beginWaiting(nowMs));
    if (errands.length > 0) await carry("INVOCATIONS", name, errands);
    else if (this.#isOver()) {
      await this.#quota.drop();
      await this.ctx.storage.deleteAll();
    }
  }

  #beginWaiting(nowMs: number): { name: string; errands: Errand[] } {
    const found = this.#config();
    if (found === null) return { name: "", errands: [] };
    const room = Math.max(0, MAX_UNDER_WAY - this.#underWay());
    const due = this.#rows(`next_ms <= ? ORDER BY next_ms, seq LIMIT ?`, nowMs, room);
    const errands: Errand[] = [];
    for (const row of due) {
      const isTold = row.state !== "waiting";
      const { maxAgeSeconds } = found.config.settings;
      if (!isTold && row.created_ms + maxAgeSeconds * 1000 < nowMs) {
        const error = `it is older than ${maxAgeSeconds} seconds; ${row.error ?? "it was not begun before"}`;
        this.#finish(row, found.config.settings, { state: "failed", error }, nowMs);
        continue;
      }
      this.#sql.exec(
        `UPDATE invocations SET state = ?, next_ms = NULL, life = ?, began_ms = ? WHERE seq = ?`,
        isTold ? row.state : "running",
        currentLife(),
        nowMs,
        row.seq,
      );
      errands.push(isTold ? this.#tellingOf(row, found.config) : this.#errandOf(row));
    }
    this.#wake(nowMs);
    return { name: found.config.id, errands };
  }

  /** The same one again is no new invocation. */
  #known({ idempotencyKey }: NewInvocation): Created | null {
    const [same] = idempotencyKey === null ? [] : this.#rows(`idempotency_key = ?`, idempotencyKey);
    return same === undefined ? null : { record: toDetail(same), errand: null };
  }

  /** A response as it is kept: where there is no room for it older ones go, and without any its status stays. */
  async #keepable(result: EventResult, rooms: Reservation[]): Promise<string | null> {
    if (!result.ran || !result.response) return null;
    const response = JSON.stringify(result.response);
    for (;;) {
      try {
        rooms.push(await this.#quota.reserve({ bytes: response.length }));
        return response;
      } catch (error) {
        if (!(error instanceof QuotaError)) throw error;
        if (this.#forgetResponses(0) > 0) continue;
        const { status } = result.response;
        return JSON.stringify({ status, headers: [], body: "", isTruncated: true });
      }
    }
  }

  #ended(seq: number, result: EventResult, response: string | null, nowMs: number): void {
    const [row] = this.#rows(`seq = ? AND state = 'running'`, seq);
    const found = this.#config();
    // Reported twice.
    if (row === undefined || found === null) return;
    const { settings } = found.config;
    let next = nextTry(row, settings, result, nowMs);
    if (found.isGone && next.state === "waiting") {
      next = { ...next, state: "failed", error: "the function was deleted", nextMs: null };
    }
    this.#update(
      seq,
      `state = ?, attempts = ?, waits = ?, next_ms = ?, life = NULL, began_ms = NULL, outcome = ?, error = ?, response = ?`,
      next.state,
      next.attempts,
      next.waits,
      next.nextMs,
      next.outcome,
      next.error,
      response,
    );
    if (next.state !== "waiting")
      this.#finish(row, settings, { ...next, state: next.state }, nowMs);
  }

  #finish(
    { seq, type }: Ending,
    { onSuccess, onFailure }: InvocationSettings,
    { state, error }: { readonly state: "succeeded" | "failed"; readonly error: string | null },
    nowMs: number,
  ): void {
    const wanted: Destination | null = state === "succeeded" ? onSuccess : onFailure;
    // Who waits for the response is told by it.
    const to = type === "RequestResponse" ? null : wanted;
    this.#update(
      seq,
      `state = ?, error = ?, ended_ms = ?, destination = ?, destination_state = ?, next_ms = ?`,
      state,
      error,
      nowMs,
      to && JSON.stringify(to),
      to && "waiting",
      to && nowMs,
    );
    if (to === null) this.#settled(seq);
  }

  #told(seq: number, error: string | null, nowMs: number): void {
    const [row] = this.#rows(`seq = ? AND life IS NOT NULL AND destination_state = 'waiting'`, seq);
    if (row === undefined) return;
    const attempts = row.destination_attempts + 1;
    const isOver = error === null || attempts >= MAX_TELLINGS;
    const waitMs = Math.min(1000 * 2 ** attempts, MAX_TELL_WAIT_MS);
    this.#update(
      seq,
      `life = NULL, began_ms = NULL, destination_state = ?, destination_attempts = ?, destination_error = ?, next_ms = ?`,
      error === null ? "delivered" : isOver ? "given-up" : "waiting",
      attempts,
      error,
      isOver ? null : nowMs + waitMs,
    );
    if (isOver) this.#settled(seq);
  }

  /** Nothing more happens to it. */
  #settled(seq: number): void {
    const { bytes } = this.#sql
      .exec<{ bytes: number | null }>(
        `SELECT payload_bytes AS bytes FROM invocations WHERE seq = ?`,
        seq,
      )
      .one();
    this.#update(seq, `payload = NULL`);
    this.#pending.count--;
    this.#pending.bytes -= bytes ?? 0;
    if (++this.#settledCount % FORGET_EVERY === 0) this.#forgetOld();
  }

  #forgetOld(): void {
    this.#forgetResponses(KEPT_RESPONSES);
    this.#sql.exec(`DELETE FROM invocations WHERE ${SETTLED} AND ${OLDER_THAN}`, KEPT);
    this.#kept.recount();
  }

  /** Of all but the newest so many. How many there were. */
  #forgetResponses(kept: number): number {
    const { rowsWritten } = this.#sql.exec(
      `UPDATE invocations SET response = NULL WHERE response IS NOT NULL AND ${SETTLED} AND ${OLDER_THAN}`,
      kept,
    );
    this.#kept.recount();
    return rowsWritten;
  }

  #update(seq: number, set: string, ...values: SqlStorageValue[]): void {
    this.#kept.change(seq, () =>
      this.#sql.exec(`UPDATE invocations SET ${set} WHERE seq = ?`, ...values, seq),
    );
  }

  #errandOf(row: InvocationRow): Errand & { does: "deliver" } {
    const found = this.#config();
    if (found === null) throw new Error("an invocation came before its script");
    const { namespace, name: script } = found.config;
    const { seq: key, id, type, content_type: contentType, payload } = row;
    const attempt = row.attempts + 1;
    const headers: [string, string][] = [
      ["skep-invocation-id", id],
      ["skep-invocation-type", type],
      ["skep-invocation-attempt", String(attempt)],
    ];
    if (contentType !== null) headers.push(["content-type", contentType]);
    const body = payload === null ? null : new Uint8Array(payload).toBase64();
    const request = { id, method: "POST", url: "http://invocation/", headers, body };
    const delivery: EventDelivery = {
      namespace,
      script,
      event: { type: "invocation", request },
      attempt,
    };
    const object = r2Of(row);
    return { does: "deliver", key, delivery, ...(object && { object }) };
  }

  #tellingOf(row: InvocationRow, { namespace, name: script }: Config): Errand {
    const to = JSON.parse(row.destination ?? "null") as Destination;
    const text = told(row, { namespace, name: script });
    return { does: "tell", key: row.seq, namespace, script, to, text };
  }

  /** null: nobody told of the script yet. */
  #config(): { readonly config: Config; readonly isGone: boolean } | null {
    const [row] = this.#sql
      .exec<{ json: string; is_gone: number }>(`SELECT json, is_gone FROM config`)
      .toArray();
    return row === undefined
      ? null
      : { config: JSON.parse(row.json) as Config, isGone: row.is_gone === 1 };
  }

  /** Its script is gone, and nothing is left to do. */
  #isOver(): boolean {
    if (this.#config()?.isGone !== true) return false;
    return this.#rows(`next_ms IS NOT NULL OR life IS NOT NULL LIMIT 1`).length === 0;
  }

  #rows(where: string, ...values: SqlStorageValue[]): InvocationRow[] {
    return this.#sql
      .exec<InvocationRow>(`SELECT * FROM invocations WHERE ${where}`, ...values)
      .toArray();
  }

  #underWay(): number {
    return this.#sql
      .exec<{ count: number }>(`SELECT COUNT(*) AS count FROM invocations WHERE life IS NOT NULL`)
      .one().count;
  }

  /** For what is tried next, and to look after what is under way. What waits for room is begun when something ends. */
  #wake(nowMs: number): void {
    const underWay = this.#underWay();
    const { next_ms: nextMs } = this.#sql
      .exec<{ next_ms: number | null }>(
        `SELECT MIN(next_ms) AS next_ms FROM invocations WHERE next_ms > ?`,
        underWay < MAX_UNDER_WAY ? 0 : nowMs,
      )
      .one();
    const watchMs = underWay > 0 ? nowMs + WATCH_MS : Infinity;
    const atMs = Math.min(nextMs ?? Infinity, watchMs);
    if (atMs < Infinity) void this.ctx.storage.setAlarm(atMs);
  }
}
