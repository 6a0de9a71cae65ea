/**
 * The trace events of one function: hands them to whoever tails it, and keeps them if it is to be logged. One object
 * per function, so that a loud one is in nobody's way. Another one per namespace holds the tails of all of it.
 *
 * Who tails is stored in the Registry. This object has the connections, and renews the leases of those that live.
 */
import { DurableObject } from "cloudflare:workers";
import type { LogPage, LogQuery } from "../protocol/log-query.ts";
import type { TraceEvent } from "../protocol/trace.ts";
import { registryOf } from "../registry/client.ts";
import type { HubEnv } from "./env.ts";
import { LogStore } from "./log-store.ts";
import type { TailFilter } from "./tail-filter.ts";
import { TailReader } from "./tail-reader.ts";

const RENEW_MS = 20_000;
const TRIM_MS = 6 * 3_600_000;
const EXPIRED = 1000;
const ENDED = 1000;

export interface LogBatch {
  readonly events: readonly TraceEvent[];
  readonly dropped: number;
  /** Those to keep, by index. */
  readonly kept: readonly number[];
}

export class FunctionLogs extends DurableObject<HubEnv> {
  #stored: LogStore | undefined;
  readonly #readers = new Map<string, { reader: TailReader; expiresOn: number }>();
  #isRenewing = false;
  /** An alarm is set, as long as something is kept. */
  #willTrim = false;

  /** The connection of a tail. Only the API comes here, and it knows the tail (src/api/tails.ts). */
  override fetch(request: Request): Response {
    const tail = JSON.parse(request.headers.get("x-skep-tail") ?? "") as {
      id: string;
      expiresOn: number;
      filters: TailFilter[];
    };
    const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket];
    const { id, expiresOn, filters } = tail;
    const reader = new TailReader(id, server, filters, Date.now());
    this.#readers.get(id)?.reader.close(ENDED, "connected elsewhere");
    this.#readers.set(id, { reader, expiresOn });
    const end = () => this.ctx.waitUntil(this.#end(id, reader));
    server.addEventListener("close", ({ code }) => {
      reader.close(code === 1005 || code === 1006 ? ENDED : code, "");
      end();
    });
    server.addEventListener("error", end);
    server.accept();
    if (!this.#isRenewing) this.ctx.waitUntil(this.#renew());
    const headers = { "sec-websocket-protocol": "trace-v1" };
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  take({ events, dropped, kept }: LogBatch): void {
    const nowMs = Date.now();
    const texts = events.map((event) => JSON.stringify(event));
    for (const { reader } of this.#readers.values()) reader.take(events, texts, dropped, nowMs);
    if (kept.length === 0) return;
    if (!this.#willTrim) this.#trimLater();
    this.#store().add(
      kept.flatMap((index) => events[index] ?? []),
      kept.flatMap((index) => texts[index] ?? []),
      nowMs,
    );
  }

  query(query: LogQuery): LogPage {
    return this.#store().query(query);
  }

  /** The tail was ended by the API. */
  endTail(id: string): void {
    this.#readers.get(id)?.reader.close(ENDED, "the tail was deleted");
    this.#readers.delete(id);
  }

  /** The function is deleted. */
  async destroy(): Promise<void> {
    for (const { reader } of this.#readers.values()) reader.close(ENDED, "the Worker was deleted");
    this.#readers.clear();
    this.#stored = undefined;
    this.#willTrim = false;
    await this.ctx.storage.deleteAlarm();
    await this.ctx.storage.deleteAll();
  }

  /** A function that is not called any more logs nothing, and what it logged gets old. */
  override alarm(): void {
    this.#willTrim = false;
    this.#store().trim(Date.now());
    if (!this.#store().isEmpty) this.#trimLater();
  }

  #trimLater(): void {
    this.#willTrim = true;
    void this.ctx.storage.setAlarm(Date.now() + TRIM_MS);
  }

  #store(): LogStore {
    return (this.#stored ??= new LogStore(this.ctx.storage.sql));
  }

  /** Ends with the last reader. */
  async #renew(): Promise<void> {
    this.#isRenewing = true;
    try {
      while (this.#readers.size > 0) {
        const nowMs = Date.now();
        for (const [id, { reader, expiresOn }] of this.#readers) {
          if (expiresOn <= nowMs) reader.close(EXPIRED, "the tail has expired");
          else if (!reader.isAlive(nowMs)) reader.letGo();
          else continue;
          await this.#end(id, reader);
        }
        await registryOf(this.env).renewTails([...this.#readers.keys()]);
        await scheduler.wait(RENEW_MS);
      }
    } finally {
      this.#isRenewing = false;
    }
  }

  async #end(id: string, reader: TailReader): Promise<void> {
    if (this.#readers.get(id)?.reader !== reader) return;
    this.#readers.delete(id);
    await registryOf(this.env).endTail(id);
  }
}
