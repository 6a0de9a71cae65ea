/** What is on its way into a file, for which room is reserved as it comes: nobody knows how much that will be. */
import type { Reservation } from "../quota.ts";

/** Takes so much room, as long as it is not freed. */
export type Reserve = (bytes: number) => Promise<Reservation>;

/** So much is asked for at a time. */
const ROOM_BYTES = 64 * 1024;

export class Meter {
  readonly #reserve: Reserve;
  readonly #rooms: Reservation[] = [];
  #bytes = 0;

  constructor(reserve: Reserve) {
    this.#reserve = reserve;
  }

  /** That came. */
  get bytes(): number {
    return this.#bytes;
  }

  async take(bytes: number): Promise<void> {
    this.#bytes += bytes;
    while (this.#bytes > this.#rooms.length * ROOM_BYTES) {
      this.#rooms.push(await this.#reserve(ROOM_BYTES));
    }
  }

  /** Has `write` write the stream, which ends early if there is no room or the stream fails: then this rejects with why. */
  async through(
    stream: ReadableStream<Uint8Array>,
    write: (metered: ReadableStream) => Promise<void>,
  ): Promise<void> {
    const pipe = new IdentityTransformStream();
    const file = pipe.writable.getWriter();
    const written = write(pipe.readable);
    // Awaited below; what comes may fail first.
    written.catch(() => {});
    const reader = stream.getReader();
    try {
      for (let next; !(next = await reader.read()).done;) {
        await this.take(next.value.byteLength);
        await file.write(next.value);
      }
      await file.close();
      await written;
    } catch (error) {
      await Promise.allSettled([file.abort(error), reader.cancel(error), written]);
      throw error;
    }
  }

  /** From here on the file is counted, or gone. */
  free(): void {
    for (const room of this.#rooms.splice(0)) room.free();
  }
}
