/** Gathers the data points that functions wrote, and brings them to the hub out of the way of requests. */
import type { Caller } from "../cell/bindings.ts";
import type { DataPoint, WrittenPoint } from "../protocol/analytics.ts";
import type { EgressCall } from "../protocol/egress.ts";
import { notGranted, type Grants } from "../protocol/grants.ts";
import type { HubClient } from "./hub-client.ts";

const FLUSH_INTERVAL_MS = 250;
/** While the hub is away; beyond it the newest are lost, which the log tells. */
const MAX_WAITING = 10_000;
/** Of their texts. */
const MAX_CHARACTERS = 16 * 1024 * 1024;

export class Analytics {
  readonly #hub: HubClient;
  readonly #keepAlive: (work: Promise<unknown>) => void;
  #waiting: WrittenPoint[] = [];
  /** Of those that wait. */
  #characters = 0;
  #isScheduled = false;
  #lost = 0;

  constructor(hub: HubClient, keepAlive: (work: Promise<unknown>) => void) {
    this.#hub = hub;
    this.#keepAlive = keepAlive;
  }

  write({ namespace }: Pick<Caller, "namespace">, dataset: string, point: DataPoint): void {
    if (!this.#hold({ ...point, namespace, dataset, atMs: Date.now() })) return;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#keepAlive(scheduler.wait(FLUSH_INTERVAL_MS).then(() => this.flush()));
  }

  /** False: there is no room. */
  #hold(point: WrittenPoint): boolean {
    const characters = point.blobs.reduce((sum, blob) => sum + (blob?.length ?? 0), 0);
    if (this.#waiting.length >= MAX_WAITING || this.#characters + characters > MAX_CHARACTERS) {
      this.#lost++;
      return false;
    }
    this.#waiting.push(point);
    this.#characters += characters;
    return true;
  }

  /** From a cell. */
  async answer(request: Request, caller: EgressCall, grants: Grants): Promise<Response> {
    const { dataset, point } = await request.json<{ dataset: string; point: DataPoint }>();
    const isGranted = await grants.hold(caller, { type: "analytics", dataset }, caller.grant);
    if (!isGranted) return notGranted();
    this.write(caller, dataset, point);
    return new Response(null, { status: 204 });
  }

  /** Never rejects. */
  async flush(): Promise<void> {
    this.#isScheduled = false;
    const points = this.#waiting;
    if (points.length === 0) return;
    this.#waiting = [];
    this.#characters = 0;
    try {
      await this.#hub.analytics({ points });
    } catch {
      // The hub is away: with the next points, or the next heartbeat, again.
      const later = this.#waiting;
      this.#waiting = [];
      this.#characters = 0;
      for (const point of [...points, ...later]) this.#hold(point);
    }
    if (this.#lost === 0) return;
    console.error(
      `${this.#lost} data points were lost: the hub was away, or too many were written`,
    );
    this.#lost = 0;
  }
}
