/**
 * Large answers, which are in memory until whoever asked has read them. A function may ask again and again and read nothing;
 * so what one object holds for whoever asked is counted.
 */

/** What is smaller is not counted. */
const LARGE_CHARACTERS = 256 * 1024;
/** Where there is as much already, there is no more. */
const MAX_BYTES = 32 * 2 ** 20;
const PATIENCE_MS = 5_000;
const LOOK_MS = 50;

export class Answers {
  readonly #ctx: Pick<DurableObjectState, "waitUntil">;
  #bytes = 0;

  constructor(ctx: Pick<DurableObjectState, "waitUntil">) {
    this.#ctx = ctx;
  }

  /** Waits a while for those that nobody has read yet. False: there are still too many for another one. */
  async haveRoom(): Promise<boolean> {
    for (let waitedMs = 0; this.#areMany && waitedMs < PATIENCE_MS; waitedMs += LOOK_MS) {
      await scheduler.wait(LOOK_MS);
    }
    return !this.#areMany;
  }

  get #areMany(): boolean {
    return this.#bytes >= MAX_BYTES;
  }

  /** For one that is about to be made. Returns what ends that. */
  hold(bytes: number): () => void {
    this.#bytes += bytes;
    return () => {
      this.#bytes -= bytes;
    };
  }

  /** `text`: JSON. */
  respond(text: string, headers: Readonly<Record<string, string>> = {}): Response {
    const init = { headers: { "content-type": "application/json", ...headers } };
    if (text.length < LARGE_CHARACTERS) return new Response(text, init);
    const bytes = new TextEncoder().encode(text);
    const end = this.hold(bytes.byteLength);
    const pipe = new FixedLengthStream(bytes.byteLength);
    const writer = pipe.writable.getWriter();
    const read = writer
      .write(bytes)
      .then(() => writer.close())
      // Whoever asked has gone.
      .catch(() => {})
      .finally(end);
    this.#ctx.waitUntil(read);
    return new Response(pipe.readable, init);
  }
}
