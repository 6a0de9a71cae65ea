/**
 * The Cron Triggers of all scripts: one object, woken by its alarm when the next one is due. A run is a row before it
 * begins and until long after it ended, so that nothing that was due is lost with a process: it is begun again if
 * nobody knows how it ended. Of the times that passed while nothing could run, the last one is run, once.
 */
import { DurableObject } from "cloudflare:workers";
import type { Cron } from "../../protocol/cron.ts";
import { nextTime, parseCron, previousTime } from "../../protocol/cron.ts";
import { EVENT_WALL_MS, type EventResult } from "../../protocol/events.ts";
import type { ScheduledRun, ScheduleReport } from "../../protocol/schedules.ts";
import type { StoreEnv } from "../env.ts";
import { currentLife, lostResult } from "../life.ts";
import type { ScriptConfig } from "./config.ts";
import { carry, type Errand, type Report } from "./courier.ts";

/** There is one object of this class. */
export const SCHEDULES_NAME = "schedules";

const MINUTE_MS = 60_000;

/** Runs under way at once; those of one namespace leave room for the others' (`#isFull`). */
const MAX_UNDER_WAY = 500;

/** Calls of a handler that throws, and does not say `noRetry()`. */
const MAX_ATTEMPTS = 3;
const RETRY_DELAY_MS = 30_000;

/** Between tries to reach a function; doubles up to the second. */
const MIN_WAIT_MS = 1_000;
const MAX_WAIT_MS = MINUTE_MS;

/** So long after it was due a run is still begun. */
const MAX_AGE_MS = 24 * 60 * MINUTE_MS;

/** Ended runs of a script that are kept. */
const KEPT_RUNS = 200;

/** After a run has ended, so long more of them are waited for before others are begun. */
const GATHER_MS = 10;

/** So often what is under way is looked after. */
const WATCH_MS = 30_000;

/** Nobody has reported a run after this long: nobody will. */
const LEASE_MS = EVENT_WALL_MS + 5 * MINUTE_MS;

const TABLES = `
  CREATE TABLE IF NOT EXISTS scripts (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    has_invocations INTEGER NOT NULL,
    has_objects INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS triggers (
    script_id TEXT NOT NULL REFERENCES scripts (id) ON DELETE CASCADE,
    cron TEXT NOT NULL,
    next_ms INTEGER NOT NULL,
    PRIMARY KEY (script_id, cron)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS triggers_by_time ON triggers (next_ms);
  CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    script_id TEXT NOT NULL REFERENCES scripts (id) ON DELETE CASCADE,
    namespace TEXT NOT NULL,
    cron TEXT NOT NULL,
    scheduled_ms INTEGER NOT NULL,
    missed_since_ms INTEGER,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    waits INTEGER NOT NULL,
    next_ms INTEGER,
    life TEXT,
    began_ms INTEGER,
    started_ms INTEGER,
    ended_ms INTEGER,
    outcome TEXT,
    error TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS runs_waiting ON runs (next_ms, id, namespace) WHERE state = 'waiting';
  CREATE INDEX IF NOT EXISTS runs_unbegun ON runs (script_id, cron) WHERE state = 'waiting';
  CREATE INDEX IF NOT EXISTS runs_running ON runs (began_ms) WHERE state = 'running';
  CREATE INDEX IF NOT EXISTS runs_by_script ON runs (script_id, id);`;

export class Schedules extends DurableObject<StoreEnv> {
  readonly #sql: SqlStorage;
  /** By namespace. */
  readonly #underWay = new Map<string, number>();
  /** Of all namespaces together. */
  #total = 0;
  readonly #crons = new Map<string, Cron>();
  #watchMs = 0;
  #isGathering = false;
  /** 0: not known. */
  #alarmMs = 0;

  constructor(ctx: DurableObjectState, env: StoreEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(TABLES);
    for (const { namespace } of this.#running(`life = ?`, currentLife())) {
      this.#count(namespace, 1);
    }
  }

  /** The whole configuration of a script. Returns whether it has invocations. */
  configure(id: string, config: ScriptConfig): boolean {
    return this.ctx.storage.transactionSync(() => {
      const { namespace, name, settings } = config;
      const hasInvocations = settings.invocations !== null;
      this.#sql.exec(
        `INSERT INTO scripts (id, namespace, name, has_invocations, has_objects) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET namespace = excluded.namespace, name = excluded.name,
           has_invocations = excluded.has_invocations, has_objects = excluded.has_objects`,
        id,
        namespace,
        name,
        Number(hasInvocations),
        Number(settings.hasObjects),
      );
      this.#sql.exec(
        `UPDATE runs SET namespace = ? WHERE script_id = ? AND namespace <> ?`,
        namespace,
        id,
        namespace,
      );
      this.#setTriggers(id, settings.crons);
      this.#wake();
      return hasInvocations;
    });
  }

  hasInvocations(id: string): boolean {
    return (
      this.#sql.exec(`SELECT 1 FROM scripts WHERE id = ? AND has_invocations = 1`, id).toArray()
        .length > 0
    );
  }

  hasObjects(id: string): boolean {
    const rows = this.#sql.exec(`SELECT 1 FROM scripts WHERE id = ? AND has_objects = 1`, id);
    return rows.toArray().length > 0;
  }

  /** The script is gone. */
  forget(id: string): void {
    this.#sql.exec(`DELETE FROM scripts WHERE id = ?`, id);
  }

  report(id: string, limit: number): ScheduleReport {
    const runs = this.#sql
      .exec<RunRow>(`SELECT * FROM runs WHERE script_id = ? ORDER BY id DESC LIMIT ?`, id, limit)
      .toArray()
      .map(toRun);
    const next = this.#sql
      .exec<{ cron: string; next_ms: number }>(
        `SELECT cron, next_ms FROM triggers WHERE script_id = ? ORDER BY next_ms, cron`,
        id,
      )
      .toArray()
      .map(({ cron, next_ms: atMs }) => ({ cron, atMs }));
    return { runs, next };
  }

  override async alarm(): Promise<void> {
    this.#alarmMs = 0;
    const nowMs = Date.now();
    this.ctx.storage.transactionSync(() => {
      this.#takeLost(nowMs);
      this.#takeDue(nowMs);
    });
    await this.#begin(nowMs);
  }

  /** By the courier. */
  async take(reports: readonly Report[]): Promise<void> {
    this.ctx.storage.transactionSync(() => {
      const nowMs = Date.now();
      for (const report of reports)
        if ("result" in report) this.#end(report.key, report.result, nowMs);
    });
    // Where thousands wait, many end in this time; to look for what is next costs more than they do.
    if (this.#isGathering) return;
    this.#isGathering = true;
    await scheduler.wait(GATHER_MS);
    this.#isGathering = false;
    await this.#begin(Date.now());
  }

  #setTriggers(id: string, crons: readonly string[]): void {
    const nowMs = Date.now();
    const known = this.#sql
      .exec<{ cron: string }>(`SELECT cron FROM triggers WHERE script_id = ?`, id)
      .toArray()
      .map(({ cron }) => cron);
    for (const cron of known) {
      if (crons.includes(cron)) continue;
      this.#sql.exec(`DELETE FROM triggers WHERE script_id = ? AND cron = ?`, id, cron);
      // It was not begun yet, and is not wanted any more.
      this.#sql.exec(
        `DELETE FROM runs WHERE script_id = ? AND cron = ? AND state = 'waiting'`,
        id,
        cron,
      );
    }
    for (const cron of crons) {
      if (!known.includes(cron)) this.#setNext(id, cron, nowMs);
    }
  }

  #setNext(id: string, cron: string, afterMs: number): void {
    const nextMs = nextTime(this.#cron(cron), afterMs);
    if (nextMs === null) return;
    this.#sql.exec(
      `INSERT INTO triggers (script_id, cron, next_ms) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET next_ms = excluded.next_ms`,
      id,
      cron,
      nextMs,
    );
  }

  /** Many scripts have the same few. */
  #cron(text: string): Cron {
    let cron = this.#crons.get(text);
    if (cron === undefined) {
      if (this.#crons.size >= 10_000) this.#crons.clear();
      this.#crons.set(text, (cron = parseCron(text)));
    }
    return cron;
  }

  /** Makes runs of the triggers that are due. */
  #takeDue(nowMs: number): void {
    const due = this.#sql
      .exec<{ script_id: string; cron: string; next_ms: number }>(
        `SELECT script_id, cron, next_ms FROM triggers WHERE next_ms <= ?`,
        nowMs,
      )
      .toArray();
    for (const { script_id: id, cron, next_ms: dueMs } of due) {
      const lastMs = previousTime(this.#cron(cron), nowMs) ?? dueMs;
      const [unbegun] = this.#sql
        .exec<{ since_ms: number }>(
          `DELETE FROM runs WHERE script_id = ? AND cron = ? AND state = 'waiting' AND attempts = 0
           RETURNING COALESCE(missed_since_ms, scheduled_ms) AS since_ms`,
          id,
          cron,
        )
        .toArray();
      const sinceMs = unbegun?.since_ms ?? dueMs;
      this.#sql.exec(
        `INSERT INTO runs
           (script_id, namespace, cron, scheduled_ms, missed_since_ms, state, attempts, waits, next_ms)
         VALUES (?1, (SELECT namespace FROM scripts WHERE id = ?1), ?2, ?3, ?4, 'waiting', 0, 0, ?5)`,
        id,
        cron,
        lastMs,
        sinceMs < lastMs ? sinceMs : null,
        nowMs,
      );
      this.#setNext(id, cron, nowMs);
    }
  }

  /** Runs that nobody will report: they are begun again. */
  #takeLost(nowMs: number): void {
    const lost = this.#running(`life <> ? OR began_ms < ?`, currentLife(), nowMs - LEASE_MS);
    for (const { id, life } of lost) this.#end(id, lostResult(life), nowMs);
  }

  #running(where: string, ...values: SqlStorageValue[]) {
    return this.#sql
      .exec<{ id: number; life: string; namespace: string }>(
        `SELECT id, life, namespace FROM runs WHERE state = 'running' AND (${where})`,
        ...values,
      )
      .toArray();
  }

  /** Begins as many as there is room for, and sees to being woken for the others. */
  async #begin(nowMs: number): Promise<void> {
    const errands = this.ctx.storage.transactionSync(() => this.#beginWaiting(nowMs));
    this.#wake();
    if (errands.length > 0) await carry("SCHEDULES", SCHEDULES_NAME, errands);
  }

  #beginWaiting(nowMs: number): Errand[] {
    const errands: Errand[] = [];
    for (;;) {
      const room = MAX_UNDER_WAY - this.#total;
      const waiting = this.#sql
        .exec<{ id: number; namespace: string }>(
          `SELECT id, namespace FROM runs INDEXED BY runs_waiting
           WHERE state = 'waiting' AND next_ms <= ? AND namespace NOT IN (SELECT value FROM json_each(?))
           ORDER BY next_ms, id LIMIT ?`,
          nowMs,
          JSON.stringify(this.#fullNamespaces()),
          room,
        )
        .toArray();
      for (const { id, namespace } of waiting) {
        if (this.#isFull(namespace)) continue;
        this.#count(namespace, 1);
        errands.push(this.#beginOne(id, nowMs));
      }
      if (waiting.length < room || room === 0) return errands;
    }
  }

  #beginOne(id: number, nowMs: number): Errand {
    const { cron, scheduled_ms, attempts, script_id } = this.#sql
      .exec<RunRow>(
        `UPDATE runs SET state = 'running', next_ms = NULL, life = ?, began_ms = ?,
           started_ms = COALESCE(started_ms, ?) WHERE id = ? RETURNING *`,
        currentLife(),
        nowMs,
        nowMs,
        id,
      )
      .one();
    const { namespace, name: script } = this.#sql
      .exec<{ namespace: string; name: string }>(
        `SELECT namespace, name FROM scripts WHERE id = ?`,
        script_id,
      )
      .one();
    const event = { type: "scheduled", cron, scheduledTimeMs: scheduled_ms } as const;
    const delivery = { namespace, script, event, attempt: attempts + 1 };
    return { does: "deliver", key: id, delivery };
  }

  /** A handler ended, or was not called. */
  #end(id: number, result: EventResult, nowMs: number): void {
    const [row] = this.#sql
      .exec<RunRow>(`SELECT * FROM runs WHERE id = ? AND state = 'running'`, id)
      .toArray();
    // Reported twice; or its script is gone, and with it the count of its namespace is looked up anew.
    if (row === undefined) return this.#recount();
    if (row.life === currentLife()) this.#count(row.namespace, -1);
    const next = whatNext(row, result, nowMs);
    this.#sql.exec(
      `UPDATE runs SET state = ?, attempts = ?, waits = ?, next_ms = ?, ended_ms = ?, outcome = ?, error = ?
       WHERE id = ?`,
      next.waitMs === null ? "ended" : "waiting",
      next.attempts,
      next.waits,
      next.waitMs === null ? null : nowMs + next.waitMs,
      next.waitMs === null ? nowMs : null,
      next.outcome,
      next.error,
      id,
    );
    if (next.waitMs === null) this.#dropOld(row.script_id);
  }

  #dropOld(scriptId: string): void {
    this.#sql.exec(
      `DELETE FROM runs WHERE script_id = ? AND state = 'ended' AND id <= (
         SELECT id FROM runs WHERE script_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`,
      scriptId,
      scriptId,
      KEPT_RUNS,
    );
  }

  #recount(): void {
    this.#underWay.clear();
    this.#total = 0;
    for (const { namespace } of this.#running(`life = ?`, currentLife())) {
      this.#count(namespace, 1);
    }
  }

  #fullNamespaces(): string[] {
    return [...this.#underWay.keys()].filter((namespace) => this.#isFull(namespace));
  }

  /** Half of what the others leave: however many namespaces have runs that never end, the next one finds room. */
  #isFull(namespace: string): boolean {
    return (this.#underWay.get(namespace) ?? 0) >= MAX_UNDER_WAY - this.#total;
  }

  #count(namespace: string, by: 1 | -1): void {
    const before = this.#underWay.get(namespace) ?? 0;
    const count = Math.max(0, before + by);
    this.#total += count - before;
    if (count > 0) this.#underWay.set(namespace, count);
    else this.#underWay.delete(namespace);
  }

  /** For the next thing that is due, and to look after what is under way. What waits for room is begun when a run ends. */
  #wake(): void {
    const nowMs = Date.now();
    const isFull = this.#total >= MAX_UNDER_WAY || this.#fullNamespaces().length > 0;
    const { at_ms: nextMs } = this.#sql
      .exec<{ at_ms: number | null }>(
        `SELECT MIN(at_ms) AS at_ms FROM (
           SELECT MIN(next_ms) AS at_ms FROM triggers
           UNION ALL SELECT MIN(next_ms) FROM runs WHERE state = 'waiting' AND next_ms > ?)`,
        isFull ? nowMs : 0,
      )
      .one();
    // Kept where it is while runs end, which happens often.
    if (this.#watchMs <= nowMs) this.#watchMs = nowMs + WATCH_MS;
    const watchMs = this.#underWay.size > 0 ? this.#watchMs : Infinity;
    const atMs = Math.min(nextMs ?? Infinity, watchMs);
    if (atMs === this.#alarmMs || atMs === Infinity) return;
    this.#alarmMs = atMs;
    void this.ctx.storage.setAlarm(atMs);
  }
}

interface Next {
  readonly attempts: number;
  readonly waits: number;
  /** null: it has ended. */
  readonly waitMs: number | null;
  readonly outcome: string | null;
  readonly error: string | null;
}

function whatNext(row: RunRow, result: EventResult, nowMs: number): Next {
  const { waits } = row;
  if (result.ran) {
    const attempts = row.attempts + 1;
    const { outcome, error = null, noRetry = false } = result;
    const isOver = outcome === "ok" || noRetry || attempts >= MAX_ATTEMPTS;
    const waitMs = isOver ? null : RETRY_DELAY_MS * 2 ** (attempts - 1);
    return { attempts, waits, waitMs, outcome, error };
  }
  const { reason, message, retryAfterSeconds = 0, mayHaveRun = false } = result;
  const attempts = mayHaveRun ? row.attempts + 1 : row.attempts;
  const end = { attempts, waits: waits + 1, error: message };
  if (reason === "no-handler") return { ...end, waitMs: null, outcome: "exception" };
  const isOver = attempts >= MAX_ATTEMPTS || nowMs - row.scheduled_ms >= MAX_AGE_MS;
  if (isOver) return { ...end, waitMs: null, outcome: "unknown" };
  const backOffMs = Math.min(MIN_WAIT_MS * 2 ** waits, MAX_WAIT_MS);
  return { ...end, waitMs: Math.max(backOffMs, retryAfterSeconds * 1000), outcome: null };
}

interface RunRow extends Record<string, SqlStorageValue> {
  id: number;
  script_id: string;
  namespace: string;
  cron: string;
  scheduled_ms: number;
  missed_since_ms: number | null;
  state: string;
  attempts: number;
  waits: number;
  next_ms: number | null;
  life: string | null;
  /** Of the try under way, and of the first one. */
  began_ms: number | null;
  started_ms: number | null;
  ended_ms: number | null;
  outcome: string | null;
  error: string | null;
}

function toRun(row: RunRow): ScheduledRun {
  const { started_ms: startedMs, scheduled_ms: scheduledMs } = row;
  return {
    id: row.id,
    cron: row.cron,
    scheduledMs,
    missedSinceMs: row.missed_since_ms,
    state: row.state as ScheduledRun["state"],
    isLate: startedMs !== null && startedMs - scheduledMs > MINUTE_MS,
    attempts: row.attempts,
    startedMs,
    endedMs: row.ended_ms,
    outcome: row.outcome,
    error: row.error,
  };
}
