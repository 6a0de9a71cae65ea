/** The Workers of vitest.config.ts as tests reach them. */
import { env } from "cloudflare:workers";
import type { Taken } from "./collector.ts";
import { Host } from "./function.ts";

export const workers = env as unknown as Readonly<
  Record<"HOST" | "TIGHT_HOST" | "MARKED_HOST" | "COLLECTOR" | "CELL" | "CELL_CONTROL", Fetcher>
>;

export const host = new Host(workers.HOST);
export const tightHost = new Host(workers.TIGHT_HOST);

/** What functions fetched since the last call. */
export async function taken(): Promise<Taken[]> {
  return (await workers.COLLECTOR.fetch("http://collector/taken")).json();
}
