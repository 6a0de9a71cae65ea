/**
 * Data points that functions write: on their way from an edge to the hub, and how they are asked for. Limits are
 * those of Cloudflare's Analytics Engine.
 */
export const MAX_BLOBS = 20;
export const MAX_DOUBLES = 20;
/** Of all blobs of a point together. */
export const MAX_BLOB_BYTES = 16 * 1024;
export const MAX_INDEX_BYTES = 96;

export interface DataPoint {
  readonly blobs: readonly (string | null)[];
  readonly doubles: readonly number[];
  readonly index: string | null;
}

export interface WrittenPoint extends DataPoint {
  readonly namespace: string;
  readonly dataset: string;
  /** When it was written, Unix time in milliseconds. */
  readonly atMs: number;
}

/** Body of `POST /analytics`, edge -> hub. */
export interface AnalyticsFlush {
  readonly points: readonly WrittenPoint[];
}
