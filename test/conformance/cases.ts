/**
 * What a conformance suite is: cases by name, each of which uses one binding as a Worker does and returns what it saw. They
 * run one after another, in this order, on one resource that is empty at first. `told` makes an answer comparable.
 */

/** The bindings of the Worker that runs the cases. */
export interface ConformanceEnv {
  readonly KV: KVNamespace;
  readonly BUCKET: R2Bucket;
  readonly DB: D1Database;
  readonly QUEUE: Queue;
}

export type Cases = Readonly<Record<string, (env: ConformanceEnv) => unknown>>;

/** Plain JSON that says of any value what it was; of an error its name and message, and whether it is one of its class. */
export async function told(value: unknown): Promise<unknown> {
  if (value === undefined) return { undefined: true };
  if (typeof value === "bigint") return { bigint: String(value) };
  if (typeof value === "number" && !Number.isFinite(value)) return { number: String(value) };
  if (typeof value === "function") return { function: value.name };
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) {
    const { name, message } = value;
    return {
      error: name,
      message,
      type: value instanceof TypeError,
      cause: await told(value.cause),
    };
  }
  if (value instanceof Date) return { date: value.getTime() };
  if (value instanceof ReadableStream) return { stream: await toldBytes(value) };
  if (value instanceof Blob) return { blob: value.type, of: await toldBytes(value.stream()) };
  if (value instanceof ArrayBuffer)
    return { ArrayBuffer: await toldBytes(new Blob([value]).stream()) };
  if (ArrayBuffer.isView(value)) {
    const bytes = await toldBytes(new Blob([value as Uint8Array<ArrayBuffer>]).stream());
    return { [value.constructor.name]: bytes };
  }
  if (value instanceof Headers) return { headers: [...value] };
  if (value instanceof Map) return { map: await told([...value]) };
  if (value instanceof Set) return { set: await told([...value]) };
  if (Array.isArray(value)) return Promise.all(value.map(told));
  const members: Record<string, unknown> = {};
  for (const key of Object.keys(value).toSorted()) {
    members[key] = await told((value as Record<string, unknown>)[key]);
  }
  return members;
}

/** What `attempt` throws or rejects with; what it returns otherwise. */
export async function outcome(attempt: () => unknown): Promise<unknown> {
  try {
    return { returned: await attempt() };
  } catch (error) {
    return { threw: error };
  }
}

/** Short ones in full. */
async function toldBytes(stream: ReadableStream): Promise<unknown> {
  const bytes = await new Response(stream).arrayBuffer();
  if (bytes.byteLength <= 256) return [...new Uint8Array(bytes)].join(" ");
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return { bytes: bytes.byteLength, sha256: [...new Uint8Array(hash)].join(" ") };
}
