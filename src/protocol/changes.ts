/**
 * Changes of what functions keep, on their way to functions and queues. In the transaction of a change the resource writes
 * down what it is and which queues get it; the follower (src/store/changes/) brings it there, in order. A function that
 * subscribed has a hidden queue for that, which keeps the order (src/protocol/queue.ts).
 */
import { R2_ACTIONS } from "./r2-rules.ts";

export const CHANGE_KINDS = ["kv", "d1", "r2"] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** By kind: what can happen. */
export const CHANGE_ACTIONS = {
  kv: ["put", "delete"],
  /** `restore`: the whole database went back to an earlier state. */
  d1: ["insert", "update", "delete", "restore"],
  r2: R2_ACTIONS,
} as const satisfies Record<ChangeKind, readonly string[]>;

/** Which changes. What is absent is no condition. */
export interface ChangeRules {
  /** Some of the kind's. */
  readonly actions: readonly string[];
  /** Of keys, in KV namespaces and R2 buckets. */
  readonly prefix?: string;
  readonly suffix?: string;
  /** Of D1 databases. */
  readonly tables?: readonly string[];
}

/** Who gets changes of a resource: in `settings.notifications` of its StoreConfig. */
export interface Notification {
  readonly queueId: string;
  readonly rules: readonly ChangeRules[];
  /** It is the hidden queue of a function: its messages have their `position`. */
  readonly isFeed?: true;
}

/** One change as its resource has written it down. */
export interface WrittenChange {
  readonly seq: number;
  /** Ids of the queues that get it. */
  readonly queues: readonly string[];
  readonly message: Readonly<Record<string, unknown>>;
}

/**
 * How far a queue has got. Asked of the store with `GET /{kind}/{id}/followers/{queueId}`; set with PUT of
 * `{position}`: what is in the queue goes, and the changes after that position come (again).
 */
export interface FollowerState {
  /** Of the last change that was put into the queue; 0: none yet. */
  readonly position: number;
  /** Messages that are in the queue. */
  readonly waiting: number;
}

/** So many changes that everybody has got stay, to go back to. */
export const KEPT_CHANGES = 10_000;
