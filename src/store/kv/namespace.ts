/**
 * One KV namespace: a Durable Object that speaks the protocol of the runtime's KV binding. Keys and small values are in its
 * database; a large value is in a file, which is complete before its row is written, and swept when no row leads to it any more.
 */
import { DurableObject } from "cloudflare:workers";
import type { WrittenChange } from "../../protocol/changes.ts";
import { asciiJson, type KvPair } from "../../protocol/kv.ts";
import type { StoreConfig } from "../../protocol/store.ts";
import { drain } from "../drain.ts";
import type { StoreEnv } from "../env.ts";
import {
  QUOTA_STATUS,
  QuotaError,
  QuotaLease,
  type QuotaHolder,
  type Released,
  type Usage,
} from "../quota.ts";
import { Answers } from "../answers.ts";
import { readText } from "../read-text.ts";
import { ChangeLog } from "./changes.ts";
import { Entries, type Entry } from "./entries.ts";
import { ValueFiles } from "./files.ts";
import { MAX_INLINE_BYTES, receiveValue } from "./receive.ts";
import {
  bulkGetOf,
  byteLength,
  checkBulkSize,
  checkCacheTtl,
  checkKey,
  checkMetadata,
  cursorAfter,
  expirationOf,
  KvRejection,
  listOptionsOf,
  MAX_BULK_CALL_BYTES,
  MAX_VALUE_BYTES,
  valueTooLarge,
} from "./rules.ts";

/** One of many that are put at once. */
export type Pair = Omit<KvPair, "value"> & { readonly value: Uint8Array };

const CONFIG_KEY = "config";
/** Whoever has just read a row that is replaced still opens its file. */
const SWEEP_DELAY_MS = 10_000;

export class KvNamespace extends DurableObject<StoreEnv> implements QuotaHolder {
  #config: StoreConfig | undefined = this.ctx.storage.kv.get(CONFIG_KEY);
  readonly #changes = new ChangeLog(this.ctx, this.env, this.#config);
  readonly #entries = new Entries(this.ctx.storage, this.#changes);
  readonly #quota = new QuotaLease(this.ctx, this.env, { binding: "KV", kind: "kv" }, () =>
    this.#usage(),
  );
  readonly #uploads = new Set<string>();
  readonly #answers = new Answers(this.ctx);
  #alarmMs = Infinity;

  configure(config: StoreConfig): void {
    this.#entries.create();
    this.#quota.configure(config);
    this.#changes.follow(config);
    this.ctx.storage.kv.put(CONFIG_KEY, config);
    this.#config = config;
  }

  /** With everything in it. Also after one that was broken off. */
  async remove(id: string): Promise<void> {
    this.#config = undefined;
    await this.#quota.drop();
    await new ValueFiles(this.env.FILES, id).deleteAll();
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  releaseQuota(epoch: number): Released {
    return this.#quota.release(epoch);
  }

  override async fetch(request: Request): Promise<Response> {
    try {
      return await this.#answer(request);
    } catch (error) {
      const response = refusalOf(error);
      await drain(request.body);
      return response;
    }
  }

  /** For its follower: the oldest after `after`. */
  changes(after: number, limit: number): WrittenChange[] {
    return this.#changes.changes(after, limit);
  }

  trim(upTo: number): void {
    this.#changes.trim(upTo);
  }

  /** In this order, up to the first one that is refused. */
  async putMany(pairs: readonly Pair[]): Promise<Response> {
    try {
      for (const pair of pairs) await this.#putPair(pair);
      return new Response(null, { status: 204 });
    } catch (error) {
      return refusalOf(error);
    }
  }

  deleteMany(keys: readonly string[]): Response {
    try {
      this.#there();
      for (const key of keys) checkKey(key);
      this.ctx.storage.transactionSync(() => {
        for (const key of keys) this.#entries.delete(key);
      });
      this.#arm();
      return new Response(null, { status: 204 });
    } catch (error) {
      return refusalOf(error);
    }
  }

  /** What has expired goes, and files that no row leads to. */
  override async alarm(): Promise<void> {
    this.#alarmMs = Infinity;
    if (this.#config === undefined) return;
    this.#entries.deleteExpired(nowSeconds());
    for (const file of this.#entries.leftover()) {
      // While the ones before went, its row may have come.
      if (this.#uploads.has(file) || !this.#entries.isLeftover(file)) continue;
      await this.#files().delete(file);
      this.#entries.swept(file);
    }
    this.#arm();
  }

  #answer(request: Request): Promise<Response> | Response {
    const { pathname, searchParams } = new URL(request.url);
    this.#there();
    switch (request.method) {
      case "GET":
        if (pathname === "/") return this.#list(searchParams);
        return this.#get(keyIn(pathname), searchParams);
      case "PUT":
        return this.#put(keyIn(pathname), searchParams, request);
      case "DELETE":
        return this.deleteMany([keyIn(pathname)]);
      case "POST":
        if (pathname === "/bulk/get") return this.#getMany(request);
    }
    throw new KvRejection(405, `no such call: ${request.method}`);
  }

  async #get(key: string, query: URLSearchParams): Promise<Response> {
    checkKey(key);
    checkCacheTtl(query.get("cache_ttl"));
    const entry = this.#entries.get(key, nowSeconds());
    if (entry === undefined) throw new KvRejection(404, "Not Found");
    const { value, metadata, expiration } = entry;
    const headers = new Headers();
    if (expiration !== null) headers.set("CF-Expiration", String(expiration));
    if (metadata !== null) headers.set("CF-KV-Metadata", asciiJson(metadata));
    if (value !== null) return new Response(value, { headers });
    const content = await this.#read(entry);
    // Replaced meanwhile, and swept.
    return content === undefined ? this.#get(key, query) : new Response(content, { headers });
  }

  async #getMany(request: Request): Promise<Response> {
    const { keys, type, withMetadata } = bulkGetOf(await readText(request, MAX_BULK_CALL_BYTES));
    const now = nowSeconds();
    const found = keys.map((key) => [key, this.#entries.get(key, now)] as const);
    const size = found.reduce((sum, [, entry]) => sum + (entry?.size ?? 0), 0);
    checkBulkSize(size);
    if (!(await this.#answers.haveRoom())) {
      throw new KvRejection(429, "Too many values are asked for that nobody has read yet");
    }
    const end = this.#answers.hold(size);
    try {
      return this.#answers.respond(await this.#textOf(found, type, withMetadata));
    } finally {
      end();
    }
  }

  async #textOf(
    found: readonly (readonly [key: string, entry: Entry | undefined])[],
    type: "text" | "json",
    withMetadata: boolean,
  ): Promise<string> {
    const answer = found.map(async ([key, entry]): Promise<[string, unknown]> => {
      if (entry === undefined) return [key, null];
      const content = entry.value ?? (await this.#read(entry));
      if (content === undefined) return [key, null];
      const text = await new Response(content).text();
      const value = type === "json" ? parsed(text) : text;
      if (!withMetadata || value === null) return [key, value];
      const metadata = entry.metadata === null ? null : (JSON.parse(entry.metadata) as unknown);
      return [key, { value, metadata }];
    });
    return JSON.stringify(Object.fromEntries(await Promise.all(answer)));
  }

  async #put(key: string, query: URLSearchParams, request: Request): Promise<Response> {
    checkKey(key);
    const expiration = expirationOf(
      query.get("expiration_ttl"),
      query.get("expiration"),
      nowSeconds(),
    );
    const metadata = checkMetadata(request.headers.get("CF-KV-Metadata"));
    const length = Number(request.headers.get("Content-Length") ?? 0);
    if (length > MAX_VALUE_BYTES) throw valueTooLarge(length);
    const files = this.#files();
    let file: string | undefined;
    try {
      const received = await receiveValue(request.body, files, () => (file = this.#announce()));
      await this.#store(key, { ...received, metadata, expiration });
    } finally {
      if (file !== undefined) await this.#ended(file, files);
    }
    return new Response();
  }

  async #putPair({ key, value, expirationTtl, ...pair }: Pair): Promise<void> {
    checkKey(key);
    const metadata = checkMetadata(pair.metadata);
    const expiration = expirationOf(expirationTtl, pair.expiration, nowSeconds());
    const size = value.byteLength;
    if (size > MAX_VALUE_BYTES) throw valueTooLarge(size);
    if (size <= MAX_INLINE_BYTES) {
      const inline = value.slice().buffer;
      return this.#store(key, { value: inline, file: null, size, metadata, expiration });
    }
    const files = this.#files();
    const file = this.#announce();
    try {
      await files.write(file, value);
      await this.#store(key, { value: null, file, size, metadata, expiration });
    } finally {
      await this.#ended(file, files);
    }
  }

  #list(query: URLSearchParams): Response {
    const options = listOptionsOf(query);
    const keys = this.#entries.list(options, nowSeconds());
    const last = keys[options.limit - 1];
    if (keys.length <= options.limit || last === undefined) {
      return Response.json({ keys, list_complete: true, cacheStatus: null });
    }
    const cursor = cursorAfter(last.name);
    return Response.json({
      keys: keys.slice(0, options.limit),
      list_complete: false,
      cursor,
      cacheStatus: null,
    });
  }

  async #store(key: string, entry: Entry): Promise<void> {
    const bytes = entry.size + byteLength(key) + byteLength(entry.metadata ?? "");
    for (;;) {
      this.#there();
      const growth = this.#growth(key, bytes);
      const room = await this.#quota.reserve(growth);
      try {
        this.#there();
        // What it replaces may have gone while there was no room.
        if (this.#growth(key, bytes).bytes > growth.bytes) continue;
        this.#changes.refuseFull();
        this.#entries.put(key, entry, bytes);
        this.#arm();
        return;
      } finally {
        room.free();
      }
    }
  }

  #growth(key: string, bytes: number) {
    const before = this.#entries.bytesOf(key);
    return { bytes: bytes - (before ?? 0), kv_keys: before === undefined ? 1 : 0 };
  }

  #usage(): Usage {
    if (this.#config === undefined) return {};
    const { keys, bytes } = this.#entries.totals();
    return { bytes, kv_keys: keys };
  }

  async #read({ file }: Entry): Promise<ReadableStream | undefined> {
    return file === null ? undefined : this.#files().read(file);
  }

  /** The name of a new file. */
  #announce(): string {
    this.#there();
    const file = crypto.randomUUID();
    this.#uploads.add(file);
    this.#entries.announce(file);
    this.#arm();
    return file;
  }

  /** An upload, one way or the other. */
  async #ended(file: string, files: ValueFiles): Promise<void> {
    this.#uploads.delete(file);
    // The namespace was deleted meanwhile, and its files perhaps before this one was there: nobody sweeps it.
    if (this.#config === undefined) await files.deleteAll();
  }

  #files(): ValueFiles {
    return new ValueFiles(this.env.FILES, this.#there().id);
  }

  /** For what expires next, or for files to sweep. */
  #arm(): void {
    const next = this.#entries.nextExpiration();
    const hasLeftover = this.#entries.leftover().length > 0;
    const atMs = Math.min(
      next === null ? Infinity : Math.max(next * 1000, Date.now()),
      hasLeftover ? Date.now() + SWEEP_DELAY_MS : Infinity,
    );
    if (atMs >= this.#alarmMs) return;
    this.#alarmMs = atMs;
    void this.ctx.storage.setAlarm(atMs);
  }

  #there(): StoreConfig {
    if (this.#config !== undefined) return this.#config;
    throw new KvRejection(400, "this KV namespace was deleted");
  }
}

function keyIn(pathname: string): string {
  try {
    return decodeURIComponent(pathname.slice(1));
  } catch {
    throw new KvRejection(400, "Could not URL-decode key name");
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new KvRejection(
      400,
      "At least one of the requested keys corresponds to a non-json value",
    );
  }
}

/** Throws what is no refusal. */
function refusalOf(error: unknown): Response {
  const { message } = error as Error;
  if (error instanceof KvRejection) return refused(error.status, message);
  if (error instanceof QuotaError) return refused(QUOTA_STATUS, message);
  throw error;
}

function refused(status: number, message: string): Response {
  return new Response(message, { status, statusText: message.replaceAll(/[^\x20-\x7e]/g, "?") });
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
