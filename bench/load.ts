/**
 * The load generator: N connections, each with one request under way at all times (a closed loop), for a
 * fixed time. Keeps every latency, per connection, so that percentiles come from raw samples and an
 * unfair server shows.
 */
import { Connection } from "./connection.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** One is drawn in turn by each connection; usually a single one. */
  readonly requests: readonly Buffer[];
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Answers whose status was not 200. */
  readonly failures: number;
  /** Milliseconds of each request, one list per connection, in order. */
  readonly latencies: readonly (readonly number[])[];
  /** The longest time in which no connection got an answer, in milliseconds. */
  readonly longestStallMs: number;
  /** CPU the generator itself used, in milliseconds: how far it may have disturbed the measurement. */
  readonly generatorCpuMs: number;
}

export async function load(options: LoadOptions): Promise<LoadResult> {
  const connections = await Promise.all(
    Array.from({ length: options.connections }, () => Connection.open(options)),
  );
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + options.seconds * 1000;
  let failures = 0;
  let lastAnswer = start;
  let longestStallMs = 0;

  const drive = async (connection: Connection, first: number): Promise<number[]> => {
    const samples: number[] = [];
    let sent = performance.now();
    for (let turn = first; sent < end; turn++) {
      const request = options.requests[turn % options.requests.length];
      if (!request) throw new RangeError("load needs at least one request");
      const answer = await connection.send(request);
      const now = performance.now();
      if (answer.status !== 200) failures++;
      longestStallMs = Math.max(longestStallMs, now - lastAnswer);
      lastAnswer = now;
      samples.push(now - sent);
      sent = now;
    }
    return samples;
  };

  try {
    const latencies = await Promise.all(connections.map(drive));
    const used = process.cpuUsage(cpu);
    return {
      requests: latencies.reduce((sum, samples) => sum + samples.length, 0),
      seconds: (performance.now() - start) / 1000,
      failures,
      latencies,
      longestStallMs,
      generatorCpuMs: (used.user + used.system) / 1000,
    };
  } finally {
    for (const connection of connections) connection.close();
  }
}
