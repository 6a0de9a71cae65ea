/**
 * How many bytes responses have. A declared Content-Length is exact; other bodies can only be counted by
 * reading a copy, which costs more than the rest of the dispatcher, so a busy function's are sampled:
 * each counted body stands for those that were passed over since the one before.
 */
import type { Target } from "./routes.ts";

/** A function's bodies are all counted up to one per this time, … */
const SAMPLE_INTERVAL_MS = 50;
/** … and one in so many beyond that. */
const SAMPLE_EVERY = 16;

/** A copied body is buffered for the slower of its two readers, so the copy is dropped beyond this. */
const MAX_COUNTED_BYTES = 1024 * 1024;

interface Sampling {
  lastMs: number;
  passedOver: number;
}

const samplings = new WeakMap<Target, Sampling>();

/** For how many bodies the next one of this function stands; 0: do not count it. */
export function sampleWeight(target: Target, nowMs: number): number {
  let sampling = samplings.get(target);
  if (sampling === undefined) samplings.set(target, (sampling = { lastMs: 0, passedOver: 0 }));
  sampling.passedOver++;
  if (nowMs - sampling.lastMs < SAMPLE_INTERVAL_MS && sampling.passedOver < SAMPLE_EVERY) return 0;
  const weight = sampling.passedOver;
  sampling.lastMs = nowMs;
  sampling.passedOver = 0;
  return weight;
}

/** Bytes of the body, at most MAX_COUNTED_BYTES and some. Reads and drops `copy`. */
export async function countBytes(copy: Response): Promise<number> {
  let bytes = 0;
  if (copy.body === null) return bytes;
  try {
    for await (const chunk of copy.body) {
      bytes += (chunk as Uint8Array).byteLength;
      if (bytes >= MAX_COUNTED_BYTES) break;
    }
  } catch {
    // The function's stream failed or the client left: what came until then was sent.
  }
  return bytes;
}
