/** One range of bytes, as a client may ask for it (RFC 9110 section 14). */

export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** undefined: all of it is sent. null: there is no such range. More than one range at a time is not sent apart. */
export function rangeOf(header: string | null, size: number): ByteRange | null | undefined {
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const start = Math.max(0, size - Number(last));
    return start < size ? { start, end: size } : null;
  }
  const start = Number(first);
  const end = last === "" ? size : Math.min(size, Number(last) + 1);
  if (last !== "" && Number(last) < start) return undefined;
  return start < size ? { start, end } : null;
}

/** The range of a stream. What lies before it is read and dropped. */
export function slice(
  content: ReadableStream<Uint8Array>,
  { start, end }: ByteRange,
): ReadableStream<Uint8Array> {
  let at = 0;
  return content.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        const from = Math.max(0, start - at);
        const to = Math.min(chunk.byteLength, end - at);
        at += chunk.byteLength;
        if (from < to) controller.enqueue(chunk.subarray(from, to));
        if (at >= end) controller.terminate();
      },
    }),
  );
}
