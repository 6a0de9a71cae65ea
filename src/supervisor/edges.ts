/**
 * What is done to all edges: telling them a change of routing before it is acknowledged, replacing them one after
 * the other.
 */
import { callControl, ControlTimeout } from "./control-client.ts";
import type { Slot } from "./slot.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

export interface EdgesOptions {
  readonly slots: readonly Slot[];
  readonly controlSocket: (process: WorkerdProcess) => string;
  readonly log: (line: string) => void;
}

export interface EdgePlace {
  readonly index: number;
  readonly process: WorkerdProcess;
}

/** One that is stuck is ended long before; on a busy machine one that is well may take its time. */
const CALL_TIMEOUT_MS = 10_000;
const FLUSH_TIMEOUT_MS = 1000;

export class Edges {
  readonly #options: EdgesOptions;

  constructor(options: EdgesOptions) {
    this.#options = options;
  }

  /** Every process that has not ended: starting, serving, draining. */
  get places(): readonly EdgePlace[] {
    return this.#options.slots.flatMap(({ alive }, index) =>
      [...alive].map((process) => ({ index, process })),
    );
  }

  /**
   * Resolves when no edge process can answer by what was true before: each has taken the update, or is gone. An
   * edge that starts may have asked the hub already, so it is waited for and told as well.
   */
  async broadcastRouting(update: Buffer): Promise<void> {
    await Promise.all(this.places.map((place) => this.#tell(place, update)));
  }

  /** Before an orderly end: what the edges have recorded and not delivered yet would be lost. */
  async flush(): Promise<void> {
    const serving = this.places.filter(
      ({ process: { readyAt, exit } }) => readyAt !== undefined && !exit,
    );
    await Promise.allSettled(
      serving.map(({ process }) => this.post(process, "/heartbeat", "{}", FLUSH_TIMEOUT_MS)),
    );
  }

  /** Replaces all without refusing a connection. Resolves when the new ones serve; the old ones drain. */
  async roll(): Promise<void> {
    for (const slot of this.#options.slots) await slot.roll();
  }

  /** Ends a process at once; the next one is being started when this returns. */
  end({ index, process }: EdgePlace): void {
    this.#options.slots[index]?.end(process);
  }

  /** Replaces one edge without refusing a connection, unless this process is being replaced already. */
  async rollOne({ index, process }: EdgePlace): Promise<void> {
    const slot = this.#options.slots[index];
    if (slot?.current === process) await slot.roll();
  }

  post(
    process: WorkerdProcess,
    path: string,
    body: Buffer | string,
    timeoutMs = CALL_TIMEOUT_MS,
  ): Promise<Buffer> {
    const socket = this.#options.controlSocket(process);
    return callControl({ socket, method: "POST", path, body, timeoutMs });
  }

  async #tell(place: EdgePlace, update: Buffer): Promise<void> {
    const { process } = place;
    try {
      await process.ready;
      await this.post(process, "/routing", update);
    } catch (error) {
      if (process.exit !== undefined) return;
      // A draining edge takes no connections any more, so it gets no requests either.
      if (process.draining && !(error instanceof ControlTimeout)) return;
      this.#options.log(
        `${process.name} did not take a change of routing and is killed: ${String(error)}`,
      );
      this.end(place);
      await process.exited;
    }
  }
}
