/** Payloads of invocations that are objects of an R2 bucket, read when the function is called. */
import { MAX_PAYLOAD_BYTES, type ObjectReference } from "../../protocol/invocations.ts";
import { callKind } from "./own-gate.ts";

interface Read {
  readonly bytes: Uint8Array;
  readonly contentType: string | null;
}

/** Of the runtime's R2 binding: the call goes in the one, in the answer what describes the object has this length. */
const CALL_HEADER = "cf-r2-request";
const DESCRIPTION_HEADER = "cf-r2-metadata-size";
const ERROR_HEADER = "cf-r2-error";

/** A text says why it could not be read. */
export async function readObject({ id, bucket, key }: ObjectReference): Promise<Read | string> {
  const name = `the payload, object "${key}" of R2 bucket "${bucket}"`;
  const call = JSON.stringify({ version: 1, method: "get", object: key });
  const response = await callKind("r2", id, "/", { headers: { [CALL_HEADER]: ascii(call) } });
  if (!response.ok || response.headers.has(ERROR_HEADER)) {
    const error = response.headers.get(ERROR_HEADER);
    const why =
      error === null
        ? `${response.status} ${await response.text()}`
        : (JSON.parse(error) as { message: string }).message;
    return `${name}, could not be read: ${why}`;
  }
  const described = Number(response.headers.get(DESCRIPTION_HEADER) ?? 0);
  const all = await firstBytes(response, described + MAX_PAYLOAD_BYTES + 1);
  const bytes = all.subarray(described);
  if (bytes.byteLength > MAX_PAYLOAD_BYTES) {
    return `${name}, is larger than the ${MAX_PAYLOAD_BYTES} bytes that a payload may have`;
  }
  const { httpFields } = JSON.parse(new TextDecoder().decode(all.subarray(0, described))) as {
    httpFields?: { contentType?: string };
  };
  return { bytes, contentType: httpFields?.contentType ?? null };
}

function ascii(text: string): string {
  return text.replace(
    /[^ -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

async function firstBytes({ body }: Response, count: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk as Uint8Array);
    bytes += (chunk as Uint8Array).byteLength;
    if (bytes >= count) break;
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
