/**
 * How many bytes requests and responses have. Looking at headers and bodies costs more than the rest of
 * the dispatcher, so a busy function's are sampled: each one looked at stands for itself and for those
 * that were passed over since the one before. A declared Content-Length is taken as it is; a response
 * without one is counted by reading a copy.
 */
import type { FunctionName } from "./routes.ts";

/** A function with fewer requests than one per this time has all of them looked at. */
const SAMPLE_INTERVAL_MS = 50;

/** A copied body is buffered for the slower of its two readers, so the copy is dropped beyond this. */
const MAX_COUNTED_BYTES = 1024 * 1024;

interface Sampling {
  lastMs: number;
  passedOver: number;
}

const samplings = new WeakMap<FunctionName, Sampling>();

/** For how many requests the next one of this function stands; 0: do not look at it. */
export function sampleWeight(target: FunctionName, nowMs: number): number {
  let sampling = samplings.get(target);
  if (sampling === undefined) samplings.set(target, (sampling = { lastMs: 0, passedOver: 0 }));
  sampling.passedOver++;
  if (nowMs - sampling.lastMs < SAMPLE_INTERVAL_MS) return 0;
  const weight = sampling.passedOver;
  sampling.lastMs = nowMs;
  sampling.passedOver = 0;
  return weight;
}

/** As declared; 0 if the body's length is not. */
export function requestBytes(request: Request): number {
  return Number(request.headers.get("content-length") ?? 0);
}

/** At most MAX_COUNTED_BYTES and some where the length is not declared. Leaves `response` unread. */
export async function responseBytes(request: Request, response: Response): Promise<number> {
  if (response.body === null || request.method === "HEAD") return 0;
  const declared = response.headers.get("content-length");
  if (declared !== null) return Number(declared);
  let bytes = 0;
  try {
    for await (const chunk of response.clone().body ?? []) {
      bytes += (chunk as Uint8Array).byteLength;
      if (bytes >= MAX_COUNTED_BYTES) break;
    }
  } catch {
    // The function's stream failed or the client left: what came until then was sent.
  }
  return bytes;
}
