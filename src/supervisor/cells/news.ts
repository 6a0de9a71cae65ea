/**
 * Tells the edges which cells there are and what happened to one: each edge gets one message after the other,
 * so that what it knows never goes backwards, and every incident, however long it takes.
 */
import type { CellNews, Incident } from "../../protocol/incident.ts";
import type { WorkerdProcess } from "../workerd-process.ts";

export interface CellNewsPostOptions {
  readonly lives: () => CellNews["lives"];
  /** Every edge process that has not ended. */
  readonly edges: () => readonly WorkerdProcess[];
  readonly post: (process: WorkerdProcess, body: string) => Promise<unknown>;
  readonly log: (line: string) => void;
}

interface Reader {
  incidents: Incident[];
  /** Those who wait until it knows what was true when they came. */
  waiting: (() => void)[];
  isSending: boolean;
}

const RETRY_PAUSE_MS = 100;
/** An edge that has not taken it by then is told again when there is something new. */
const MAX_FAILURES = 20;

export class CellNewsPost {
  readonly #options: CellNewsPostOptions;
  readonly #readers = new WeakMap<WorkerdProcess, Reader>();

  constructor(options: CellNewsPostOptions) {
    this.#options = options;
  }

  /** Resolves when every edge that serves has taken it or is gone. */
  async tell(incident?: Incident): Promise<void> {
    const serving = this.#options.edges().filter(({ readyAt }) => readyAt !== undefined);
    await Promise.all(serving.map((process) => this.#tell(process, incident)));
  }

  /** For an edge that has just become ready. */
  greet(process: WorkerdProcess): void {
    void this.#tell(process, undefined);
  }

  #tell(process: WorkerdProcess, incident: Incident | undefined): Promise<void> {
    let reader = this.#readers.get(process);
    if (reader === undefined) {
      reader = { incidents: [], waiting: [], isSending: false };
      this.#readers.set(process, reader);
    }
    if (incident !== undefined) reader.incidents.push(incident);
    const { waiting } = reader;
    const told = new Promise<void>((resolve) => waiting.push(resolve));
    if (!reader.isSending) void this.#send(process, reader);
    return told;
  }

  async #send(process: WorkerdProcess, reader: Reader): Promise<void> {
    reader.isSending = true;
    let failures = 0;
    // A draining edge takes no calls, and no requests that the news would be of use to.
    while (reader.waiting.length > 0 && process.exit === undefined && !process.draining) {
      const count = reader.waiting.length;
      const [incident] = reader.incidents;
      const news: CellNews = { lives: this.#options.lives(), ...(incident && { incident }) };
      try {
        await this.#options.post(process, JSON.stringify(news));
        failures = 0;
        if (incident !== undefined) reader.incidents.shift();
        if (reader.incidents.length === 0) {
          for (const resolve of reader.waiting.splice(0, count)) resolve();
        }
      } catch (error) {
        if (++failures === MAX_FAILURES) {
          this.#options.log(`${process.name} did not take news of cells: ${String(error)}`);
          reader.incidents = [];
          break;
        }
        // A connection that breaks is mostly the first sign of the edge's own end.
        const pause = new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
        await Promise.race([process.exited, pause]);
      }
    }
    reader.isSending = false;
    for (const resolve of reader.waiting.splice(0)) resolve();
  }
}
