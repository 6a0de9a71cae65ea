/** A value on its way in: what is small ends up in memory, what is large in a file. */
import type { ValueFiles } from "./files.ts";
import { MAX_VALUE_BYTES, valueTooLarge } from "./rules.ts";

/** Values up to this size stand in the row: a file would cost more than it saves. */
export const MAX_INLINE_BYTES = 64 * 1024;

export type Received =
  | { readonly value: ArrayBuffer; readonly file: null; readonly size: number }
  | { readonly value: null; readonly file: string; readonly size: number };

/** `announce` is called before a file is made, and returns its name. */
export async function receiveValue(
  body: ReadableStream<Uint8Array> | null,
  files: ValueFiles,
  announce: () => string,
): Promise<Received> {
  const small: Uint8Array[] = [];
  let size = 0;
  if (body === null) return { value: new ArrayBuffer(), file: null, size };
  const reader = body.getReader();
  for (;;) {
    const { value: chunk, done } = await reader.read();
    if (done) return { value: await new Blob(small).arrayBuffer(), file: null, size };
    small.push(chunk);
    size += chunk.byteLength;
    if (size > MAX_INLINE_BYTES) break;
  }
  const file = announce();
  const { readable, writable } = new IdentityTransformStream();
  const written = files.write(file, readable);
  written.catch(() => {
    // Awaited below; the writer may fail first.
  });
  const writer = writable.getWriter();
  try {
    for (const chunk of small) await writer.write(chunk);
    for (;;) {
      const { value: chunk, done } = await reader.read();
      if (done) break;
      size += chunk.byteLength;
      // What is too large is counted to its end, for the message; nothing of it stays.
      if (size <= MAX_VALUE_BYTES) await writer.write(chunk);
    }
    if (size > MAX_VALUE_BYTES) throw valueTooLarge(size);
    await writer.close();
  } catch (error) {
    await writer.abort(error);
    throw error;
  }
  await written;
  return { value: null, file, size };
}
