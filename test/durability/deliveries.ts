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

interface Row {
  readonly id: string;
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

/** The delivery that was broken off may have begun so long before the kill, and be repeated so long after it. */
const SLACK_MS = 2000;
const PAGE = 1000;

/** Waits until all are delivered, at most `timeoutMs`. */
export async function awaitDeliveries(
  platform: Platform,
  database: string,
  acknowledged: readonly string[],
  killedAt: readonly number[],
  timeoutMs: number,
): Promise<Deliveries> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const rows = await deliveriesOf(platform, database);
    const lost = acknowledged.filter((id) => !rows.has(id));
    if (lost.length > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      continue;
    }
    const repeated = [...rows.values()].filter(({ count }) => count > 1);
    return {
      delivered: rows.size,
      duplicates: repeated.reduce((sum, { count }) => sum + count - 1, 0),
      lost,
      unexcused: repeated
        .filter(({ first, last }) => !killedAt.some((at) => at > first - SLACK_MS && at < last))
        .map(({ id }) => id),
    };
  }
}

async function deliveriesOf(platform: Platform, database: string): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for (let after = ""; ;) {
    const page = await query(
      platform,
      database,
      `SELECT id, MIN(at) AS first, MAX(at) AS last, COUNT(*) AS count FROM deliveries
       WHERE id > ? GROUP BY id ORDER BY id LIMIT ${PAGE}`,
      [after],
    );
    for (const row of page) rows.set(row.id, row);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return rows;
    after = last.id;
  }
}

async function query(
  platform: Platform,
  database: string,
  sql: string,
  params: readonly string[],
): Promise<readonly Row[]> {
  const response = await platform.api("POST", `/d1/database/${database}/query`, { sql, params });
  if (!response.ok) throw new Error(`deliveries: ${response.status} ${await response.text()}`);
  const { result } = (await response.json()) as { result: [{ results: readonly Row[] }] };
  return result[0].results;
}
