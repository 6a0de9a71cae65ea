/**
 * What is done to all edges: telling them a change of routing before it is acknowledged, watching that they
 * answer, replacing them one after the other.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { callControl, ControlTimeout } from "./control-client.ts";
import type { Slot } from "./slot.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface EdgesOptions {
  readonly slots: readonly Slot[];
  readonly controlSocket: (index: number, process: WorkerdProcess) => string;
  readonly log: (line: string) => void;
}

const ROUTING_TIMEOUT_MS = 2000;
const HEARTBEAT_INTERVAL_MS = 1000;
/** An edge that runs tenants' endless loops answers nothing. */
const HEARTBEAT_TIMEOUT_MS = 10_000;
const FLUSH_TIMEOUT_MS = 1000;
const END_NOTICE_MS = 200;

export class Edges {
  readonly #options: EdgesOptions;
  #heartbeats: NodeJS.Timeout | undefined;
  readonly #beating = new Set<WorkerdProcess>();

  constructor(options: EdgesOptions) {
    this.#options = options;
  }

  /**
   * Resolves when no edge process can answer by what was true before: each has taken the update, or is gone. An
   * edge that starts may have asked the hub already, so it is waited for and told as well.
   */
  async broadcastRouting(update: Buffer): Promise<void> {
    await Promise.all(
      this.#processes().map(([index, process]) => this.#tell(index, process, update)),
    );
  }

  startHeartbeats(): void {
    this.#heartbeats = setInterval(() => this.#beatAll(), HEARTBEAT_INTERVAL_MS);
  }

  stopHeartbeats(): void {
    clearInterval(this.#heartbeats);
  }

  /** Before an orderly end: what the edges have recorded and not delivered yet would be lost. */
  async flush(): Promise<void> {
    const serving = this.#processes().filter(
      ([, { readyAt, exit }]) => readyAt !== undefined && !exit,
    );
    await Promise.allSettled(
      serving.map(([index, process]) =>
        this.#post(index, process, "/heartbeat", "{}", FLUSH_TIMEOUT_MS),
      ),
    );
  }

  /** Replaces all without refusing a connection. Resolves when the new ones serve; the old ones drain. */
  async roll(): Promise<void> {
    for (const slot of this.#options.slots) await slot.roll();
  }

  #processes(): [index: number, process: WorkerdProcess][] {
    return this.#options.slots.flatMap(({ alive }, index) =>
      [...alive].map((process): [number, WorkerdProcess] => [index, process]),
    );
  }

  async #tell(index: number, process: WorkerdProcess, body: Buffer): Promise<void> {
    try {
      await process.ready;
      await this.#post(index, process, "/routing", body, ROUTING_TIMEOUT_MS);
    } catch (error) {
      if (process.exit !== undefined) return;
      // A draining edge takes no connections any more, so it gets no requests either.
      if (process.draining && !(error instanceof ControlTimeout)) return;
      this.#options.log(
        `${process.name} did not take a change of routing and is killed: ${String(error)}`,
      );
      process.kill("SIGKILL");
      await process.exited;
    }
  }

  #beatAll(): void {
    for (const [index, process] of this.#processes()) {
      if (process.readyAt === undefined || process.draining || this.#beating.has(process)) continue;
      this.#beating.add(process);
      void this.#beat(index, process).finally(() => this.#beating.delete(process));
    }
  }

  /** Also lets the edge do what it does between requests. */
  async #beat(index: number, process: WorkerdProcess): Promise<void> {
    try {
      await this.#post(index, process, "/heartbeat", "{}", HEARTBEAT_TIMEOUT_MS);
    } catch (error) {
      if (error instanceof ControlTimeout) process.kill("SIGKILL");
      // A connection that breaks is mostly the first sign of an end that is reported elsewhere.
      else await Promise.race([process.exited, sleep(END_NOTICE_MS)]);
      if (process.exit === undefined && !process.draining) {
        this.#options.log(`${process.name}: ${String(error)}`);
      }
    }
  }

  #post(
    index: number,
    process: WorkerdProcess,
    path: string,
    body: Buffer | string,
    timeoutMs: number,
  ): Promise<Buffer> {
    const socket = this.#options.controlSocket(index, process);
    return callControl({ socket, method: "POST", path, body, timeoutMs });
  }
}
