/**
 * Regular questions to processes that run tenants' code. They answer with their state, and do what they do
 * between requests: end isolates, deliver metrics.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { EdgeHealth } from "../protocol/hub.ts";
import { callControl, ControlTimeout } from "./control-client.ts";
import { mainThreadNanoseconds } from "./cpu-clock.ts";
import type { Watch } from "./watch/watch.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface HeartbeatsOptions {
  /** Whom to ask each time. */
  readonly processes: () => readonly WorkerdProcess[];
  readonly controlSocket: (process: WorkerdProcess) => string;
  /** Whether those that have used no CPU since their last answer are left alone for a while. */
  readonly mayRest: boolean;
  readonly watch: Pick<Watch, "heartbeat">;
  readonly onHealth?: (process: WorkerdProcess, health: EdgeHealth) => void;
  /** It has not answered for HEARTBEAT_TIMEOUT_MS. */
  readonly onSilence: (process: WorkerdProcess) => void;
  readonly log: (line: string) => void;
}

const INTERVAL_MS = 1000;
/** The last resort, where nothing else notices that a process is stuck. */
export const HEARTBEAT_TIMEOUT_MS = 10_000;
const LONGEST_REST_MS = 30_000;
/** After an answer a process is not done at once. */
const SETTLE_MS = 50;
const END_NOTICE_MS = 200;

interface Rest {
  readonly cpuNanoseconds: string;
  readonly sinceMs: number;
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions;
  readonly #beating = new Set<WorkerdProcess>();
  /** The CPU clocks of processes after their last answers. */
  readonly #last = new WeakMap<WorkerdProcess, Rest>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#beatAll(), INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Resolves when it has answered, has ended or was given up; never rejects. */
  async beat(process: WorkerdProcess, timeoutMs = HEARTBEAT_TIMEOUT_MS): Promise<void> {
    if (this.#beating.has(process)) return;
    this.#beating.add(process);
    try {
      const answered =
        process.workerdPid === undefined
          ? undefined
          : this.#options.watch.heartbeat(process.workerdPid);
      const answer = await callControl({
        socket: this.#options.controlSocket(process),
        method: "POST",
        path: "/heartbeat",
        body: "{}",
        timeoutMs,
      });
      answered?.();
      setTimeout(() => this.#noteRest(process), SETTLE_MS).unref();
      this.#options.onHealth?.(process, JSON.parse(answer.toString()) as EdgeHealth);
    } catch (error) {
      if (error instanceof ControlTimeout) {
        if (timeoutMs === HEARTBEAT_TIMEOUT_MS) this.#options.onSilence(process);
        return;
      }
      // A connection that breaks is mostly the first sign of an end that is reported elsewhere.
      await Promise.race([process.exited, sleep(END_NOTICE_MS)]);
      if (process.exit === undefined && !process.draining) {
        this.#options.log(`${process.name}: ${String(error)}`);
      }
    } finally {
      this.#beating.delete(process);
    }
  }

  #beatAll(): void {
    for (const process of this.#options.processes()) {
      const isServing = process.readyAt !== undefined && process.exit === undefined;
      if (isServing && !process.draining && !this.#rests(process)) void this.beat(process);
    }
  }

  #noteRest(process: WorkerdProcess): void {
    const cpuNanoseconds = mainThreadNanoseconds(process.workerdPid);
    if (cpuNanoseconds === undefined) return;
    this.#last.set(process, { cpuNanoseconds, sinceMs: performance.now() });
  }

  #rests(process: WorkerdProcess): boolean {
    const last = this.#last.get(process);
    if (!this.#options.mayRest || last === undefined) return false;
    if (performance.now() - last.sinceMs >= LONGEST_REST_MS) return false;
    return mainThreadNanoseconds(process.workerdPid) === last.cpuNanoseconds;
  }
}
