/**
 * An open loop: requests go out at a fixed rate over keep-alive connections, whatever becomes of those
 * before, as the requests of many independent clients do. Keeps what became of each.
 */
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { hostOf } from "../platform.ts";

export interface SteadyOptions {
  readonly port: number;
  /** Called in turn. */
  readonly scripts: readonly string[];
  readonly perSecond: number;
  readonly connections: number;
  /** @default production */
  readonly namespace?: string;
}

export interface Sample {
  readonly script: string;
  /** Milliseconds since the epoch. */
  readonly sentAt: number;
  readonly ms: number;
  /** 0: the connection was lost. */
  readonly status: number;
  /** What came instead of an `ok`. */
  readonly failure?: string;
}

const TICK_MS = 5;

export class SteadyLoad {
  readonly samples: Sample[] = [];
  readonly #options: SteadyOptions;
  readonly #agent: Agent;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: SteadyOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections });
    this.#running = this.#run();
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Resolves when everything that was sent was answered or lost. */
  async stop(): Promise<readonly Sample[]> {
    this.#stopping.abort();
    await this.#running;
    await Promise.all(this.#underWay);
    this.#agent.destroy();
    return this.samples;
  }

  async #run(): Promise<void> {
    const { scripts, perSecond } = this.#options;
    const start = performance.now();
    for (let sent = 0; !this.#stopping.signal.aborted;) {
      const due = Math.floor(((performance.now() - start) / 1000) * perSecond);
      for (; sent < due; sent++) {
        const one = this.#send(scripts[sent % scripts.length] ?? "");
        this.#underWay.add(one);
        void one.finally(() => this.#underWay.delete(one));
      }
      await sleep(TICK_MS);
    }
  }

  #send(script: string): Promise<void> {
    const { port, namespace } = this.#options;
    const host = hostOf(script, namespace);
    const sentAt = Date.now();
    const before = performance.now();
    return new Promise((resolve) => {
      const done = (status: number, failure = "") => {
        const ms = performance.now() - before;
        this.samples.push({ script, sentAt, ms, status, ...(status !== 200 && { failure }) });
        resolve();
      };
      const outgoing = request(
        { host: "127.0.0.1", port, headers: { host }, agent: this.#agent },
        (incoming) => {
          let text = "";
          incoming.on("data", (chunk) => (text += String(chunk)));
          incoming.on("end", () => done(incoming.statusCode ?? 0, text));
          incoming.on("error", (error) => done(0, String(error)));
        },
      );
      outgoing.on("error", (error) => done(0, String(error)));
      outgoing.end();
    });
  }
}
