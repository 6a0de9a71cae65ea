/**
 * Nothing acknowledged is lost: hub, store, edges, cells and supervisor are killed with SIGKILL while functions write into KV
 * namespaces, D1 databases, R2 buckets, queues and Durable Objects.
 *
 * ROUNDS rounds by default; SKEP_DURABILITY_ROUNDS sets another number, `npm run bench -- durability` runs 1,000.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { runFaults } from "./durability/faults.ts";
import { startPlatform, type Platform } from "./platform.ts";

const ROUNDS = Number(process.env["SKEP_DURABILITY_ROUNDS"] ?? 10);

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
});

afterAll(async () => {
  await platform.stop();
});

test(
  `${ROUNDS} rounds of kill under a mixed load lose no acknowledged write and no message`,
  { timeout: 120_000 + ROUNDS * 10_000 },
  async () => {
    const report = await runFaults(platform, ROUNDS, (text) => process.stderr.write(`${text}\n`));
    process.stderr.write(`${JSON.stringify(report, null, 2)}\n`);
    expect(report.wrong).toEqual([]);
    expect(report.deliveries.lost).toEqual([]);
    expect(report.deliveries.unexcused).toEqual([]);
    for (const [kind, count] of Object.entries(report.acknowledged)) {
      expect(count, kind).toBeGreaterThan(ROUNDS);
    }
  },
);
