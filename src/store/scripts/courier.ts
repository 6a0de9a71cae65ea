/**
 * Carries things out of the store for the objects that keep them: events to functions, and what became of them to
 * destinations. A handler may take a quarter of an hour, and an object that waited for it would be ended as idle; so the
 * object hands its errand over, and is called when there is a result. What is under way when the process is killed is
 * not reported: the object finds it by its life (life.ts).
 */
import { exports, WorkerEntrypoint } from "cloudflare:workers";
import type { EventDelivery, EventResult } from "../../protocol/events.ts";
import type { Destination, ObjectReference } from "../../protocol/invocations.ts";
import { deliverEvent } from "../deliver-event.ts";
import type { StoreEnv } from "../env.ts";
import { readObject } from "./payload.ts";
import { tell } from "./destination.ts";

export type Errand =
  | {
      readonly does: "deliver";
      /** Of the object that sends it. */
      readonly key: number;
      readonly delivery: EventDelivery;
      /** The body of an invocation's request, if it is not in it. */
      readonly object?: ObjectReference;
    }
  | {
      readonly does: "tell";
      readonly key: number;
      readonly namespace: string;
      readonly script: string;
      readonly to: Destination;
      /** JSON. */
      readonly text: string;
    };

/** How one ended: a delivery, or a telling, with null if all was well. */
export type Report =
  | { readonly key: number; readonly result: EventResult }
  | { readonly key: number; readonly error: string | null };

/** The objects that use it; each has a method `take`, for reports. */
export type ErrandOwner = "SCHEDULES" | "INVOCATIONS";

/** Of errands or reports: one call has 32 MiB at most, and each may have a payload or a response of 256 KiB in base64. */
const MAX_TOGETHER = 50;
/** The object may be ended, or overloaded, just then. */
const REPORT_TRIES = 5;

export class Courier extends WorkerEntrypoint<StoreEnv> {
  /** Returns at once. */
  carry(owner: ErrandOwner, name: string, errands: readonly Errand[]): void {
    const done: Report[] = [];
    let reporting: Promise<void> | undefined;
    // What ends while a report is on its way goes with the next one.
    const reportAll = async () => {
      try {
        while (done.length > 0) await this.#report(owner, name, done.splice(0, MAX_TOGETHER));
      } finally {
        reporting = undefined;
      }
    };
    for (const errand of errands) {
      const run = this.#run(errand).then((report) => {
        done.push(report);
        return (reporting ??= reportAll());
      });
      this.ctx.waitUntil(run);
    }
  }

  /** Resolves with the result when its object has taken it, and goes on when nobody waits for that any more. */
  async deliver(name: string, errand: Errand & { readonly does: "deliver" }): Promise<EventResult> {
    const { key } = errand;
    const done = this.#result(errand).then(async (result) => {
      await this.#report("INVOCATIONS", name, [{ key, result }]);
      return result;
    });
    this.ctx.waitUntil(done);
    return done;
  }

  async #run(errand: Errand): Promise<Report> {
    const { key } = errand;
    return errand.does === "deliver"
      ? { key, result: await this.#result(errand) }
      : { key, error: await tell(this.env, errand) };
  }

  async #result({ delivery, object }: Errand & { does: "deliver" }): Promise<EventResult> {
    const { event } = delivery;
    if (object === undefined || event.type !== "invocation") {
      return deliverEvent(this.env, delivery);
    }
    const read = await readObject(object);
    if (typeof read === "string") return { ran: false, reason: "unavailable", message: read };
    const { contentType } = read;
    const own = event.request.headers;
    const headers =
      contentType === null
        ? own
        : [
            ...own.filter(([name]) => name !== "content-type"),
            ["content-type", contentType] as const,
          ];
    const request = { ...event.request, headers, body: read.bytes.toBase64() };
    return deliverEvent(this.env, { ...delivery, event: { ...event, request } });
  }

  async #report(owner: ErrandOwner, name: string, reports: readonly Report[]): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.env[owner].getByName(name).take(reports);
        return;
      } catch (error) {
        if (tries === REPORT_TRIES) throw error;
        await scheduler.wait(100 * tries ** 2);
      }
    }
  }
}

interface OwnExports {
  readonly Courier: {
    carry(...args: Parameters<Courier["carry"]>): Promise<void>;
    deliver(...args: Parameters<Courier["deliver"]>): Promise<EventResult>;
  };
}

function courier(): OwnExports["Courier"] {
  return (exports as unknown as OwnExports).Courier;
}

export async function carry(
  owner: ErrandOwner,
  name: string,
  errands: readonly Errand[],
): Promise<void> {
  for (let from = 0; from < errands.length; from += MAX_TOGETHER) {
    await courier().carry(owner, name, errands.slice(from, from + MAX_TOGETHER));
  }
}

export function deliverNow(
  name: string,
  errand: Errand & { does: "deliver" },
): Promise<EventResult> {
  return courier().deliver(name, errand);
}
