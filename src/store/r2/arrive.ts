/** Content on its way in: read from the socket piece by piece, hashed, and written to a file; what is small stays in memory. */
import { R2Rejection } from "./failure.ts";
import type { BucketFiles } from "./files.ts";
import type { Algorithm } from "./rules.ts";

/** Bytes that are in memory at once, per upload. */
const CHUNK_BYTES = 256 * 1024;

/** Content that is about to come: what `body` still has. */
export interface Incoming {
  /** undefined: it goes on until it ends. */
  readonly size: number | undefined;
  readonly body: ReadableStream | null;
}

/** The call that stands before the content. */
export async function takeHead(body: ReadableStream, size: number): Promise<Uint8Array> {
  const reader = body.getReader({ mode: "byob" });
  const { value } = await reader.readAtLeast(size, new Uint8Array(size));
  reader.releaseLock();
  if (value?.byteLength !== size) throw new R2Rejection("invalid-argument");
  return value;
}

/** Hex by name of the algorithm. */
export type Digests = ReadonlyMap<string, string>;

export interface Received {
  readonly size: number;
  readonly digests: Digests;
}

export async function receiveSmall(
  body: ReadableStream | null,
  size: number,
  algorithms: readonly Algorithm[],
): Promise<{ bytes: Uint8Array; digests: Digests }> {
  const bytes = await readExactly(body, size);
  const digests = await Promise.all(
    algorithms.map(async ({ name }): Promise<[string, string]> => {
      const digest = await crypto.subtle.digest(name, bytes);
      return [name, new Uint8Array(digest).toHex()];
    }),
  );
  return { bytes, digests: new Map(digests) };
}

async function readExactly(body: ReadableStream | null, size: number): Promise<Uint8Array> {
  if (size === 0 || body === null) return new Uint8Array();
  const reader = body.getReader({ mode: "byob" });
  const { value } = await reader.readAtLeast(size, new Uint8Array(size));
  reader.releaseLock();
  if (value?.byteLength !== size) throw new Error("the content ended early");
  return value;
}

/** `check` is told how many bytes there are before they are written; who throws ends it. */
export async function receiveIntoFile(
  { body, size }: Incoming,
  algorithms: readonly Algorithm[],
  files: BucketFiles,
  file: string,
  check: (bytes: number) => Promise<void>,
): Promise<Received> {
  if (body === null) throw new Error("there is no content");
  const hashes = algorithms.map(({ name }) => {
    const stream = new crypto.DigestStream(name);
    return { name, stream, writer: stream.getWriter() };
  });
  const pipe = size === undefined ? new IdentityTransformStream() : new FixedLengthStream(size);
  const written = files.write(file, pipe.readable);
  const writer = pipe.writable.getWriter();
  let bytes = 0;
  const copied = copy(body, async (chunk) => {
    bytes += chunk.byteLength;
    await check(bytes);
    await Promise.all([
      writer.write(chunk),
      ...hashes.map(({ writer: hash }) => hash.write(chunk)),
    ]);
  }).then(
    () => writer.close(),
    async (error: unknown) => {
      // The file is not made then.
      await writer.abort(error);
      throw error;
    },
  );
  // The copy fails first, and says why.
  written.catch(() => {});
  await copied;
  await written;
  const digests = await Promise.all(
    hashes.map(async ({ name, stream, writer: hash }): Promise<[string, string]> => {
      await hash.close();
      return [name, new Uint8Array(await stream.digest).toHex()];
    }),
  );
  return { size: bytes, digests: new Map(digests) };
}

/** One buffer, used again and again: `take` must be done with it when it resolves. */
async function copy(
  body: ReadableStream,
  take: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const reader = body.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(CHUNK_BYTES);
  for (;;) {
    const { value, done } = await reader.readAtLeast(CHUNK_BYTES, new Uint8Array(buffer));
    if (value !== undefined && value.byteLength > 0) {
      await take(value);
      buffer = value.buffer as ArrayBuffer;
    }
    if (done) return;
  }
}
