/**
 * What a function leaves unread of a request's body. The runtime closes a connection on which more than 64 KiB were left, and whoever
 * is still sending then sees a connection that was lost, and no response. So larger bodies come to a function over a stream
 * of their own; its response ends when all of the body was sent, and what the function does not take goes nowhere. Not so
 * bodies of unknown length: of one that is cut off, such a stream could not be told from one that has ended.
 */

/** The runtime reads as much by itself. */
const MAX_LEFT_BYTES = 64 * 1024;
/** For what is still to be sent, and for the next of it; after that the connection may be lost. */
const MAX_WAIT_MS = 30_000;
const MAX_IDLE_MS = 1_000;
/** Large ones cost less; only who sends fast gets them. */
const FIRST_PIECE_BYTES = 16 * 1024;
const LAST_PIECE_BYTES = 256 * 1024;

export interface ReadRequest {
  readonly body: ReadableStream | null;
  /** To be called with the response to that request. */
  readonly finish: (response: Response) => Response | Promise<Response>;
}

/** `length`: the request's Content-Length. */
export function readToItsEnd(body: ReadableStream | null, length: string | null): ReadRequest {
  if (body === null || length === null || Number(length) <= MAX_LEFT_BYTES) {
    return { body, finish: (response) => response };
  }
  const { readable, writable } = new FixedLengthStream(Number(length));
  const offer = new Offer(body, writable);
  return {
    body: readable,
    async finish(response) {
      const { body: content, headers, webSocket } = response;
      // What is encoded would be decoded on its way through a stream.
      if (offer.isOver || webSocket !== null || headers.has("content-encoding")) return response;
      // It was refused before anybody got it.
      if (!readable.locked) await readable.cancel();
      const contentLength = headers.get("content-length");
      if (content === null || contentLength === "0") {
        await offer.end();
        return response;
      }
      const held = streamOf(contentLength);
      void hold(content, held.writable, offer, contentLength !== null);
      return new Response(held.readable, response);
    },
  };
}

function streamOf(length: string | null): IdentityTransformStream {
  return length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
}

/** A body that is read to its end, whether or not somebody takes it. */
class Offer {
  isOver = false;
  #pieces = 0;
  readonly #made: Promise<void>;

  constructor(body: ReadableStream, writable: WritableStream<Uint8Array>) {
    this.#made = this.#make(body, writable).finally(() => (this.isOver = true));
  }

  /** Resolves when all has come, or nothing comes any more. */
  async end(): Promise<void> {
    for (let waitedMs = 0; waitedMs < MAX_WAIT_MS; waitedMs += MAX_IDLE_MS) {
      const pieces = this.#pieces;
      await Promise.race([this.#made, scheduler.wait(MAX_IDLE_MS)]);
      if (this.isOver || pieces === this.#pieces) return;
    }
  }

  async #make(body: ReadableStream, writable: WritableStream<Uint8Array>): Promise<void> {
    const writer = writable.getWriter();
    let isTaken = true;
    try {
      for await (const piece of piecesOf(body)) {
        this.#pieces++;
        if (isTaken) await writer.write(piece).catch(() => (isTaken = false));
      }
      if (isTaken) await writer.close();
    } catch (error) {
      // Whoever sends it has gone: what was cut off must not look complete.
      await writer.abort(error).catch(() => {});
    }
  }
}

/** Passes a response on but for its end, which comes after that of the request: for the runtime that is the last piece, if the length is known. */
async function hold(
  content: ReadableStream,
  writable: WritableStream<Uint8Array>,
  request: Offer,
  isLengthKnown: boolean,
): Promise<void> {
  const writer = writable.getWriter();
  try {
    let last: Uint8Array | undefined;
    for await (const piece of piecesOf(content)) {
      if (last !== undefined) await writer.write(last);
      last = isLengthKnown ? piece : undefined;
      if (!isLengthKnown) await writer.write(piece);
    }
    await request.end();
    if (last !== undefined) await writer.write(last);
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => {});
  }
}

/** A piece may be used until the one after the next is asked for: what is read goes into two buffers in turn, not into garbage. */
async function* piecesOf(stream: ReadableStream): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(FIRST_PIECE_BYTES);
  let other = new ArrayBuffer(FIRST_PIECE_BYTES);
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(buffer));
    if (done) return;
    yield value;
    const { byteLength } = value;
    const isFull = byteLength === value.buffer.byteLength && byteLength < LAST_PIECE_BYTES;
    [buffer, other] = [other, isFull ? new ArrayBuffer(2 * byteLength) : value.buffer];
  }
}
