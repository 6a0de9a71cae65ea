/** What became of the messages: each that was acknowledged must have been delivered; twice only where a kill came between. */
import type { Platform } from "../platform.ts";

export interface Deliveries {
  readonly delivered: number;
  /** Deliveries beyond the first of a message. */
  readonly duplicates: number;
  /** Acknowledged messages that were not delivered. */
  readonly lost: readonly string[];
  /** Delivered twice although nothing was killed between. */
  readonly unexcused: readonly string[];
}

/** Of one message: when it was delivered first and last, and how often. */
interface Row {
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

/** From before the signal until the process and all that ends with it were gone. */
export interface Kill {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The delivery that was broken off may have begun so long before the kill, and be repeated so long after it. */
const SLACK_MS = 2000;

/** Waits until all are delivered, at most `timeoutMs`. */
export async function awaitDeliveries(
  platform: Platform,
  namespaceId: string,
  acknowledged: readonly string[],
  kills: readonly Kill[],
  timeoutMs: number,
): Promise<Deliveries> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const rows = await deliveriesOf(platform, namespaceId);
    const lost = acknowledged.filter((id) => !rows.has(id));
    if (lost.length > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      continue;
    }
    const repeated = [...rows].filter(([, { count }]) => count > 1);
    return {
      delivered: rows.size,
      duplicates: repeated.reduce((sum, [, { count }]) => sum + count - 1, 0),
      lost,
      unexcused: repeated
        .filter(
          ([, { first, last }]) =>
            !kills.some(({ fromMs, toMs }) => toMs > first - SLACK_MS && fromMs < last),
        )
        .map(([id]) => id),
    };
  }
}

async function deliveriesOf(platform: Platform, namespaceId: string): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  const path = `/storage/kv/namespaces/${namespaceId}/keys`;
  for (let cursor = ""; ;) {
    const response = await platform.api("GET", `${path}?cursor=${encodeURIComponent(cursor)}`);
    if (!response.ok) throw new Error(`deliveries: ${response.status} ${await response.text()}`);
    const page = (await response.json()) as KeyPage;
    for (const { name, metadata } of page.result) {
      const [id = ""] = name.split("/");
      const { first, last, count } = rows.get(id) ?? { first: Infinity, last: 0, count: 0 };
      const { at } = metadata;
      rows.set(id, { first: Math.min(first, at), last: Math.max(last, at), count: count + 1 });
    }
    cursor = page.result_info.cursor;
    if (cursor === "") return rows;
  }
}

interface KeyPage {
  readonly result: readonly { readonly name: string; readonly metadata: { readonly at: number } }[];
  readonly result_info: { readonly cursor: string };
}
