/** Files that are on their way to or from a database, each under a token that nobody can guess and that ends after an hour. */
import type { Files } from "./files.ts";

export interface Transfer {
  readonly token: string;
  readonly filename: string;
  readonly expiresMs: number;
  /** MD5 of what is to be imported, in hex; null: it is an export. */
  readonly etag: string | null;
  readonly isComplete: boolean;
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
    const open = [...this.#all.filter((each) => each.expiresMs > Date.now()), transfer];
    const kept = open.slice(-MAX_TRANSFERS);
    const ended = this.#all.filter((each) => !kept.includes(each));
    this.#kv.put(TRANSFERS, kept);
    for (const each of ended) await this.#files.delete(nameOf(each));
    return transfer;
  }

  find(by: { readonly token: string } | { readonly filename: string }): Transfer | undefined {
    const found = this.#all.find((each) =>
      "token" in by ? each.token === by.token : each.filename === by.filename,
    );
    return found !== undefined && found.expiresMs > Date.now() ? found : undefined;
  }

  async write(transfer: Transfer, file: ReadableStream): Promise<void> {
    await this.#files.write(nameOf(transfer), file);
    this.#put({ ...transfer, isComplete: true });
  }

  /** The MD5 of what was sent; the transfer is complete if that is its etag. */
  async receive(transfer: Transfer, body: ReadableStream): Promise<string> {
    const digest = new crypto.DigestStream("MD5");
    const writer = digest.getWriter();
    let bytes = 0;
    const digested = new TransformStream<Uint8Array, Uint8Array>({
      async transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes > MAX_UPLOAD_BYTES)
          throw new Error(`a file has more than ${MAX_UPLOAD_BYTES} bytes`);
        await writer.write(chunk);
        controller.enqueue(chunk);
      },
      flush: () => writer.close(),
    });
    await this.#files.write(nameOf(transfer), body.pipeThrough(digested));
    const etag = new Uint8Array(await digest.digest).toHex();
    if (etag === transfer.etag) this.#put({ ...transfer, isComplete: true });
    return etag;
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
