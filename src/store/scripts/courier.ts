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

/** The objects that use it. */
export type ErrandOwner = "SCHEDULES" | "INVOCATIONS";

/** The object may be ended, or overloaded, just then. */
const REPORT_TRIES = 5;

export class Courier extends WorkerEntrypoint<StoreEnv> {
  /** Returns at once. */
  carry(owner: ErrandOwner, name: string, errands: readonly Errand[]): void {
    for (const errand of errands) {
      const done =
        errand.does === "tell" ? this.#tell(name, errand) : this.#deliver(owner, name, errand);
      this.ctx.waitUntil(done);
    }
  }

  /** Resolves when its object has taken the result, and goes on when nobody waits for that any more. */
  async deliver(name: string, errand: Errand & { readonly does: "deliver" }): Promise<void> {
    const done = this.#deliver("INVOCATIONS", name, errand);
    this.ctx.waitUntil(done);
    await done;
  }

  async #deliver(owner: ErrandOwner, name: string, errand: Errand & { does: "deliver" }) {
    const result = await this.#result(errand);
    await report(() => this.env[owner].getByName(name).ended(errand.key, result));
  }

  async #result({ delivery, object }: Errand & { does: "deliver" }): Promise<EventResult> {
    const { event } = delivery;
    if (object === undefined || event.type !== "invocation") {
      return deliverEvent(this.env, delivery);
    }
    const read = await readObject(object);
    if (typeof read === "string") return { ran: false, reason: "unavailable", message: read };
    const headers = [...event.request.headers];
    if (read.contentType !== null) headers.push(["content-type", read.contentType]);
    const request = { ...event.request, headers, body: read.bytes.toBase64() };
    return deliverEvent(this.env, { ...delivery, event: { ...event, request } });
  }

  async #tell(name: string, errand: Errand & { does: "tell" }): Promise<void> {
    const error = await tell(this.env, errand);
    await report(() => this.env.INVOCATIONS.getByName(name).told(errand.key, error));
  }
}

async function report(call: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      if (tries === REPORT_TRIES) throw error;
      await scheduler.wait(100 * tries ** 2);
    }
  }
}

interface OwnExports {
  readonly Courier: {
    carry(...args: Parameters<Courier["carry"]>): Promise<void>;
    deliver(...args: Parameters<Courier["deliver"]>): Promise<void>;
  };
}

function courier(): OwnExports["Courier"] {
  return (exports as unknown as OwnExports).Courier;
}

export function carry(owner: ErrandOwner, name: string, errands: readonly Errand[]): Promise<void> {
  return courier().carry(owner, name, errands);
}

export function deliverNow(name: string, errand: Errand & { does: "deliver" }): Promise<void> {
  return courier().deliver(name, errand);
}
