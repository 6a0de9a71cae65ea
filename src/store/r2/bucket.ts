/**
 * One R2 bucket: what is in it, in SQLite, and which files hold its contents. Contents do not pass through here: bind.ts reads
 * and writes the files beside it, so that long streams hold up nobody. A file is written down as arriving before its first
 * byte, belongs to an object from the transaction that makes the object, and is garbage when that is replaced; the alarm
 * deletes garbage and what was arriving in a process that is no more.
 */
import { DurableObject } from "cloudflare:workers";
import type {
  R2AbortUpload,
  R2CompleteUpload,
  R2CreateUpload,
  R2Get,
  R2List,
  R2Listing,
  R2ObjectInfo,
  R2OnlyIf,
  R2Put,
  R2UploadPart,
} from "../../protocol/r2.ts";
import { DEFAULT_LIFECYCLE, type LifecycleRule } from "../../protocol/r2-rules.ts";
import type { StoreConfig } from "../../protocol/store.ts";
import { nudgeFollower } from "../changes/follow.ts";
import type { WrittenChange } from "../../protocol/changes.ts";
import { Outbox, whyFull } from "../changes/outbox.ts";
import type { StoreEnv } from "../env.ts";
import {
  QuotaError,
  QuotaLease,
  type QuotaHolder,
  type Released,
  type Reservation,
  type Usage,
} from "../quota.ts";
import { outcomeOf, R2Rejection, type R2Outcome } from "./failure.ts";
import { BucketFiles } from "./files.ts";
import { endedBy } from "./lifecycle.ts";
import { thisLife } from "./life.ts";
import { listObjects } from "./listing.ts";
import { toNotification, type Change } from "./notifications.ts";
import { Objects, type Arrived, type NewObject, type Opened } from "./objects.ts";
import { describedBytes, openTables, type ObjectRow } from "./schema.ts";
import { joinedEtag, Uploads, type UploadSummary } from "./uploads.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** An upload that has not ended by then never will. */
const LONGEST_ARRIVAL_MS = DAY_MS;
const DONE_UPLOADS_STAY_MS = 7 * DAY_MS;
const SWEPT_AT_ONCE = 64;
const EXPIRED_AT_ONCE = 500;

/** Where what arrives is to go. */
export type Target =
  | (Pick<R2Put, "object" | "httpFields" | "customFields"> & {
      readonly onlyIf?: R2OnlyIf | undefined;
    })
  | Pick<R2UploadPart, "object" | "uploadId">;

/** Of contents, with parts of uploads that are open. */
export interface BucketUsage {
  readonly objects: number;
  readonly bytes: number;
}

export class R2Bucket extends DurableObject<StoreEnv> implements QuotaHolder {
  readonly #sql: SqlStorage;
  readonly #objects: Objects;
  readonly #uploads: Uploads;
  readonly #outbox: Outbox;
  readonly #quota = new QuotaLease(this.ctx, this.env, { binding: "R2_BUCKET", kind: "r2" }, () => {
    const { objects, bytes, overhead } = this.#used;
    return { bytes: bytes + overhead, r2_objects: objects };
  });
  /** Room for files that are arriving, by file. */
  readonly #rooms = new Map<string, Reservation[]>();
  #used = { objects: 0, bytes: 0, overhead: 0 };
  #config: StoreConfig | null = null;
  #alarmAt: number | null = null;
  #sweeping: Promise<void> | null = null;
  #isNudging = false;

  constructor(ctx: DurableObjectState, env: StoreEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    this.#objects = new Objects(this.#sql);
    this.#uploads = new Uploads(this.#sql, this.#objects);
    this.#outbox = new Outbox(this.#sql);
    void ctx.blockConcurrencyWhile(async () => {
      openTables(this.#sql);
      this.#config = this.#readConfig();
      if (this.#config !== null) this.#outbox.configure(this.#config);
      this.#used = this.#readUsage();
      this.#alarmAt = await ctx.storage.getAlarm();
    });
  }

  configure(config: StoreConfig): void {
    this.#sql.exec(`INSERT OR REPLACE INTO config VALUES (1, ?)`, JSON.stringify(config));
    this.#config = config;
    this.#outbox.configure(config);
    this.#quota.configure(config);
    this.#wakeBy(Date.now() + MINUTE_MS);
  }

  /** The bucket goes, with all that is in it. What is under way for it fails. Also after one that was broken off. */
  async destroy(): Promise<void> {
    const config = this.#readConfig();
    if (config === null) return;
    this.#config = null;
    await this.#files(config).deleteAll();
    await this.#quota.drop();
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
    this.#alarmAt = null;
    openTables(this.#sql);
    this.#used = this.#readUsage();
  }

  releaseQuota(epoch: number): Released {
    return this.#quota.release(epoch);
  }

  head(key: string): R2Outcome<R2ObjectInfo> {
    return this.#read(() => this.#objects.head(key));
  }

  open(call: R2Get): R2Outcome<Opened> {
    return this.#read(() => this.#objects.open(call));
  }

  list(call: R2List): R2Outcome<R2Listing> {
    return this.#read(() => listObjects(this.#sql, call));
  }

  /** A name for a file of that many bytes, which this process is about to write. */
  async reserve(target: Target, bytes: number): Promise<R2Outcome<string>> {
    const checked = this.#read(() => this.#checkTarget(target));
    if ("failure" in checked) return checked;
    const room = await this.#room(target, bytes);
    if ("failure" in room) return room;
    const reserved = this.#write(() => {
      const file = crypto.getRandomValues(new Uint8Array(16)).toHex();
      const due = Date.now() + LONGEST_ARRIVAL_MS;
      this.#sql.exec(`INSERT INTO files VALUES (?, 'arriving', ?, ?, 0)`, file, thisLife(), due);
      this.#wakeBy(Date.now() + MINUTE_MS);
      return file;
    });
    if ("failure" in reserved) room.value.free();
    else this.#rooms.set(reserved.value, [room.value]);
    return reserved;
  }

  /** More bytes than reserve() was told. */
  async extend(file: string, bytes: number): Promise<R2Outcome<null>> {
    const isArriving = this.#read(() => {
      const where = `file = ? AND state = 'arriving'`;
      if (this.#sql.exec(`SELECT 1 FROM files WHERE ${where}`, file).toArray().length > 0) return;
      throw new R2Rejection("internal-error");
    });
    if ("failure" in isArriving) return isArriving;
    const room = await this.#roomFor({ bytes });
    if ("failure" in room) return room;
    const rooms = this.#rooms.get(file);
    // An object that nobody calls for a while is ended, and what room there was is forgotten: put() asks for all of it.
    if (rooms === undefined) room.value.free();
    else rooms.push(room.value);
    return { value: null };
  }

  /** The file is not wanted after all. False: the bucket is gone, and nobody here will delete it. */
  release(file: string): boolean {
    this.#freeRoom(file);
    if (this.#config === null) return false;
    this.#sql.exec(
      `UPDATE files SET state = 'garbage', due = 0 WHERE file = ? AND state = 'arriving'`,
      file,
    );
    this.#sweepSoon();
    return true;
  }

  async put(call: NewObject, copySource?: Change["copySource"]): Promise<R2Outcome<R2ObjectInfo>> {
    return this.#keep(call, call.arrived, () => {
      this.#refuseFull();
      const made = this.#objects.put(call);
      const action = copySource ? "CopyObject" : "PutObject";
      this.#tell({ action, key: made.name, made, ...(copySource && { copySource }) });
      return made;
    });
  }

  delete(keys: readonly string[]): R2Outcome<null> {
    return this.#write(() => {
      for (const key of keys) this.#delete(key, "DeleteObject");
      return null;
    });
  }

  async createUpload(call: R2CreateUpload): Promise<R2Outcome<string>> {
    const room = await this.#roomFor({ bytes: describedBytes(call) });
    if ("failure" in room) return room;
    try {
      return this.#write(() => {
        this.#wakeBy(Date.now() + HOUR_MS);
        return this.#uploads.create(call);
      });
    } finally {
      room.value.free();
    }
  }

  async putPart(call: R2UploadPart, arrived: Arrived): Promise<R2Outcome<string>> {
    const { object, uploadId, partNumber } = call;
    return this.#keep(call, arrived, () =>
      this.#uploads.putPart(object, uploadId, partNumber, arrived),
    );
  }

  async completeUpload(call: R2CompleteUpload): Promise<R2Outcome<R2ObjectInfo>> {
    const etag = await joinedEtag(call);
    // Its bytes are counted already.
    const room = await this.#roomFor(this.#newObject(call.object));
    if ("failure" in room) return room;
    try {
      return this.#write(() => {
        this.#refuseFull();
        const made = this.#uploads.complete(call, etag);
        this.#tell({ action: "CompleteMultipartUpload", key: made.name, made });
        return made;
      });
    } finally {
      room.value.free();
    }
  }

  abortUpload(call: R2AbortUpload): R2Outcome<null> {
    return this.#write(() => {
      this.#uploads.abort(call);
      return null;
    });
  }

  listUploads(
    prefix: string,
    after: { key: string; id: string },
    limit: number,
  ): R2Outcome<UploadSummary[]> {
    return this.#read(() => this.#uploads.list(prefix, after, limit));
  }

  listParts(key: string, id: string, after: number, limit: number) {
    return this.#read(() => this.#uploads.listParts(key, id, after, limit));
  }

  usage(): BucketUsage {
    const { objects, bytes } = this.#used;
    return { objects, bytes };
  }

  /** For whoever delivers event notifications: the oldest that were written down after `after`. */
  changes(after: number, limit: number): WrittenChange[] {
    return this.#outbox.changes(after, limit);
  }

  /** These have been delivered. */
  trim(upTo: number): void {
    this.#outbox.trim(upTo);
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    if (this.#config === null) return;
    const now = Date.now();
    const rules = this.#rules();
    for (const { prefix, before } of endedBy(rules, "abortMultipartUploadsTransition", now)) {
      this.#write(() => this.#uploads.abortOlder(before, prefix));
    }
    this.#uploads.forgetDone(now - DONE_UPLOADS_STAY_MS);
    for (const { prefix, before } of endedBy(rules, "deleteObjectsTransition", now)) {
      await this.#expire(prefix, before);
    }
    await this.#sweepOnce();
    this.#wakeForTheRest();
  }

  #readConfig(): StoreConfig | null {
    const [row] = this.#sql.exec<{ config: string }>(`SELECT config FROM config`).toArray();
    return row ? (JSON.parse(row.config) as StoreConfig) : null;
  }

  #readUsage() {
    const [row] = this.#sql
      .exec<{ objects: number; bytes: number; overhead: number }>(
        `SELECT objects, bytes, overhead FROM usage`,
      )
      .toArray();
    return row ?? { objects: 0, bytes: 0, overhead: 0 };
  }

  /** A write that adds content; there is room already for what came as a file. */
  async #keep<T>(target: Target, arrived: Arrived, write: () => T): Promise<R2Outcome<T>> {
    const { size, content } = arrived;
    const file = "file" in content ? content.file : undefined;
    if (file !== undefined && this.#rooms.has(file)) {
      try {
        return this.#write(write);
      } finally {
        this.#freeRoom(file);
      }
    }
    const room = await this.#room(target, size, "bytes" in content);
    if ("failure" in room) return room;
    try {
      return this.#write(write);
    } finally {
      room.value.free();
    }
  }

  /** `isInline`: it comes into the place of what it replaces; a file comes beside that. */
  #room(target: Target, size: number, isInline = false): Promise<R2Outcome<Reservation>> {
    const bytes = size + describedBytes(target);
    if ("uploadId" in target) return this.#roomFor({ bytes });
    const replaced = isInline ? (this.#objects.find(target.object)?.size ?? 0) : 0;
    return this.#roomFor({ bytes: bytes - replaced, ...this.#newObject(target.object) });
  }

  /** What replaces an object is none more. */
  #newObject(key: string): Usage {
    return this.#objects.find(key) === undefined ? { r2_objects: 1 } : {};
  }

  async #roomFor(growth: Usage): Promise<R2Outcome<Reservation>> {
    for (;;) {
      try {
        return { value: await this.#quota.reserve(growth) };
      } catch (error) {
        if (!(error instanceof QuotaError)) throw error;
        if (this.#config === null || !this.#hasGarbage()) {
          return { failure: { reason: "over-quota", message: error.message } };
        }
        // What was just deleted counts until its files are gone.
        await this.#sweepOnce();
      }
    }
  }

  #freeRoom(file: string): void {
    for (const room of this.#rooms.get(file) ?? []) room.free();
    this.#rooms.delete(file);
  }

  #rules(): readonly LifecycleRule[] {
    const { lifecycle } = this.#config?.settings ?? {};
    return (lifecycle as readonly LifecycleRule[] | undefined) ?? DEFAULT_LIFECYCLE;
  }

  #expires(): boolean {
    return this.#rules().some(
      ({ enabled, deleteObjectsTransition }) => enabled && deleteObjectsTransition,
    );
  }

  /** Some at a time, oldest first: however many there are, others get their turns between. */
  async #expire(prefix: string, before: number): Promise<void> {
    let last = { uploaded: 0, key: "" };
    while (this.#config !== null) {
      const found = this.#sql
        .exec<Pick<ObjectRow, "uploaded" | "key">>(
          `SELECT uploaded, key FROM objects WHERE (uploaded, key) > (?, ?) AND uploaded < ?
           ORDER BY uploaded, key LIMIT ?`,
          last.uploaded,
          last.key,
          before,
          EXPIRED_AT_ONCE,
        )
        .toArray();
      this.#write(() => {
        for (const { key } of found) {
          if (key.startsWith(prefix)) this.#delete(key, "LifecycleDeletion");
        }
      });
      if (found.length < EXPIRED_AT_ONCE) return;
      last = found.at(-1) ?? last;
      await scheduler.wait(0);
    }
  }

  #delete(key: string, action: "DeleteObject" | "LifecycleDeletion"): void {
    if (this.#objects.delete(key) !== undefined) this.#tell({ action, key });
  }

  #refuseFull(): void {
    const message = this.#config && whyFull(this.#sql, this.#config);
    if (message) throw new R2Rejection("over-quota", { message });
  }

  #tell(change: Change): void {
    const config = this.#config;
    if (config === null) return;
    const isWritten = this.#outbox.write(change, () => toNotification(config, change));
    if (!isWritten || this.#isNudging) return;
    this.#isNudging = true;
    // It leaves once the change is committed. Should it be lost, the follower looks by itself after a while.
    const nudged = nudgeFollower(this.env, "r2", config.id)
      .catch(() => {})
      .finally(() => (this.#isNudging = false));
    this.ctx.waitUntil(nudged);
  }

  #checkTarget(target: Target): void {
    if ("uploadId" in target) this.#uploads.requireOpen(target.object, target.uploadId);
    else this.#objects.checkPrecondition(target.object, target.onlyIf);
  }

  #read<T>(work: () => T): R2Outcome<T> {
    return outcomeOf(() => {
      if (this.#config === null) throw new R2Rejection("no-such-bucket");
      return work();
    });
  }

  #write<T>(work: () => T): R2Outcome<T> {
    const outcome = this.#read(() => this.ctx.storage.transactionSync(work));
    this.#used = this.#readUsage();
    this.#sweepSoon();
    return outcome;
  }

  #sweepSoon(): void {
    if (this.#sweeping !== null || !this.#hasGarbage()) return;
    // Should the process end before that is done.
    this.#wakeBy(Date.now() + MINUTE_MS);
    this.#sweeping = this.#sweepOnce()
      // The alarm tries again.
      .catch((error: unknown) => console.error("sweeping a bucket's files:", error))
      .finally(() => (this.#sweeping = null));
    this.ctx.waitUntil(this.#sweeping);
  }

  #hasGarbage(): boolean {
    const now = Date.now();
    return (
      this.#sql
        .exec(`SELECT 1 FROM files WHERE state = 'garbage' AND due <= ? LIMIT 1`, now)
        .toArray().length > 0
    );
  }

  async #sweepOnce(): Promise<void> {
    const config = this.#config;
    if (config === null) return;
    const files = this.#files(config);
    for (;;) {
      const due = this.#sql
        .exec<{ file: string }>(
          `SELECT file FROM files WHERE due <= ? OR (state = 'arriving' AND life <> ?) LIMIT ?`,
          Date.now(),
          thisLife(),
          SWEPT_AT_ONCE,
        )
        .toArray();
      if (due.length === 0) return;
      await Promise.all(due.map(({ file }) => files.delete(file)));
      for (const { file } of due) this.#sql.exec(`DELETE FROM files WHERE file = ?`, file);
      this.#used = this.#readUsage();
    }
  }

  #wakeForTheRest(): void {
    const now = Date.now();
    const count = (what: string) =>
      this.#sql.exec(`SELECT 1 FROM ${what} LIMIT 1`).toArray().length;
    if (count("files") > 0) this.#wakeBy(now + MINUTE_MS);
    else if (count("uploads") > 0 || this.#expires()) this.#wakeBy(now + HOUR_MS);
  }

  #wakeBy(at: number): void {
    if (this.#alarmAt !== null && this.#alarmAt <= at) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }

  #files(config: StoreConfig): BucketFiles {
    return new BucketFiles(this.env.FILES, config.id);
  }
}
