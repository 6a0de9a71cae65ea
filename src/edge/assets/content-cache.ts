/** Contents of assets that an edge keeps, up to a number of bytes; those that were not asked for longest go first. */
/** What a content takes beside its bytes, about. */
const OVERHEAD_BYTES = 256;

export class ContentCache {
  readonly #maxBytes: number;
  /** In the order of their last use. */
  readonly #contents = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(blob: string): Uint8Array | undefined {
    const content = this.#contents.get(blob);
    if (content === undefined) return undefined;
    this.#contents.delete(blob);
    this.#contents.set(blob, content);
    return content;
  }

  set(blob: string, content: Uint8Array): void {
    if (this.#contents.has(blob)) return;
    this.#contents.set(blob, content);
    this.#bytes += content.byteLength + OVERHEAD_BYTES;
    for (const [oldest, { byteLength }] of this.#contents) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#contents.delete(oldest);
      this.#bytes -= byteLength + OVERHEAD_BYTES;
    }
  }
}
