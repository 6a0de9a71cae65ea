/** Files that are on their way to or from a database, each under a token that nobody can guess and that ends after an hour. */
import type { Files } from "./files.ts";
import { Meter, type Reserve } from "./meter.ts";
import { Refused } from "./query.ts";

export interface Transfer {
  readonly token: string;
  readonly filename: string;
  readonly expiresMs: number;
  /** MD5 of what is to be imported, in hex; null: it is an export. */
  readonly etag: string | null;
  readonly isComplete: boolean;
  /** Of the file; absent: there is none yet. */
  readonly bytes?: number;
}

const TRANSFERS = "transfers";
const LIFE_MS = 60 * 60 * 1000;
/** Of one database at the same time; more end the oldest. */
const MAX_TRANSFERS = 4;
/** Cloudflare's. */
const MAX_UPLOAD_BYTES = 5_000_000_000;

export class Transfers {
  readonly #kv: SyncKvStorage;
  readonly #files: Files;

  constructor(kv: SyncKvStorage, files: Files) {
    this.#kv = kv;
    this.#files = files;
  }

  /** `etag`: of a file to import. */
  async open(etag: string | null): Promise<Transfer> {
    const token = crypto.getRandomValues(new Uint8Array(32)).toHex();
    const filename = `${crypto.randomUUID()}.sql`;
    const expiresMs = Date.now() + LIFE_MS;
    const transfer = { token, filename, expiresMs, etag, isComplete: false };
    await this.#keep([...this.#open, transfer].slice(-MAX_TRANSFERS));
    return transfer;
  }

  /** Of files that are still here: they count for the quota. */
  get bytes(): number {
    return this.#all.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  }

  /** What nobody has come back for gives its room back. */
  async endExpired(): Promise<void> {
    const open = this.#open;
    if (open.length < this.#all.length) await this.#keep(open);
  }

  get #open(): Transfer[] {
    return this.#all.filter(({ expiresMs }) => expiresMs > Date.now());
  }

  async #keep(kept: readonly Transfer[]): Promise<void> {
    const ended = this.#all.filter(({ token }) => !kept.some((each) => each.token === token));
    this.#kv.put(TRANSFERS, kept);
    for (const each of ended) await this.#files.delete(nameOf(each));
  }

  find(by: { readonly token: string } | { readonly filename: string }): Transfer | undefined {
    const found = this.#all.find((each) =>
      "token" in by ? each.token === by.token : each.filename === by.filename,
    );
    return found !== undefined && found.expiresMs > Date.now() ? found : undefined;
  }

  /** An export. */
  async write(
    transfer: Transfer,
    file: ReadableStream<Uint8Array>,
    reserve: Reserve,
  ): Promise<void> {
    const meter = new Meter(reserve);
    try {
      await meter.through(file, (metered) => this.#files.write(nameOf(transfer), metered));
      this.#put({ ...transfer, bytes: meter.bytes, isComplete: true });
    } catch (error) {
      await this.close(transfer);
      throw error;
    } finally {
      meter.free();
    }
  }

  /** The MD5 of what was sent; the transfer is complete if that is its etag. */
  async receive(transfer: Transfer, body: ReadableStream, reserve: Reserve): Promise<string> {
    const digest = new crypto.DigestStream("MD5");
    const hash = digest.getWriter();
    const pipe = new IdentityTransformStream();
    const file = pipe.writable.getWriter();
    const written = this.#files.write(nameOf(transfer), pipe.readable);
    // Awaited below; what comes may fail first.
    written.catch(() => {});
    const reader = body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    const meter = new Meter(reserve);
    try {
      for (let next; !(next = await reader.read()).done;) {
        if (meter.bytes + next.value.byteLength > MAX_UPLOAD_BYTES)
          throw new Refused(`a file has more than ${MAX_UPLOAD_BYTES} bytes`);
        await meter.take(next.value.byteLength);
        await Promise.all([file.write(next.value), hash.write(next.value)]);
      }
      await Promise.all([file.close(), hash.close()]);
      await written;
      if (this.find(transfer) === undefined) {
        await this.#files.delete(nameOf(transfer));
        throw new Refused("the upload took too long, or was ended by others of this database");
      }
      const etag = new Uint8Array(await digest.digest).toHex();
      this.#put({ ...transfer, bytes: meter.bytes, isComplete: etag === transfer.etag });
      return etag;
    } catch (error) {
      await Promise.allSettled([file.abort(error), hash.abort(error), digest.digest]);
      await drain(reader);
      throw error;
    } finally {
      meter.free();
    }
  }

  read(transfer: Transfer): Promise<ReadableStream | null> {
    return this.#files.read(nameOf(transfer));
  }

  async close(transfer: Transfer): Promise<void> {
    this.#kv.put(
      TRANSFERS,
      this.#all.filter(({ token }) => token !== transfer.token),
    );
    await this.#files.delete(nameOf(transfer));
  }

  get #all(): readonly Transfer[] {
    return this.#kv.get<Transfer[]>(TRANSFERS) ?? [];
  }

  #put(transfer: Transfer): void {
    this.#kv.put(
      TRANSFERS,
      this.#all.map((each) => (each.token === transfer.token ? transfer : each)),
    );
  }
}

function nameOf({ filename }: Transfer): string {
  return `transfers/${filename}`;
}

/** Before a refusal: who is still sending would not read it. */
async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    for (let bytes = 0; bytes < MAX_UPLOAD_BYTES;) {
      const { done, value } = await reader.read();
      if (done) return;
      bytes += value.byteLength;
    }
  } catch {
    // Whoever sent it has gone.
  }
}
