/**
 * Counts the calls of `ratelimit` bindings, in fixed windows as long as their period. Each key is counted in the
 * edge that its hash names, so that there is one count for all edges and cells; while that edge is away, the one
 * that is asked counts for itself. The counts are lost with their edge.
 */
import type { Caller } from "../cell/bindings.ts";
import { homeOf } from "../namespace/home.ts";
import type { RateLimitValue } from "../protocol/bundle.ts";
import type { EgressCall } from "../protocol/egress.ts";
import { notGranted, type Grants } from "../protocol/grants.ts";

/** Of one binding in one window; beyond it the oldest key is forgotten, and begins anew. */
const MAX_KEYS = 10_000;
/** Bindings in use; beyond it those are forgotten whose window is over, then the oldest. */
const MAX_LIMITS = 10_000;
/** Of the keys of all bindings; beyond it likewise. */
const MAX_CHARACTERS = 32 * 1024 * 1024;
/** What a key takes beside its text, about. */
const KEY_OVERHEAD = 64;

/** Between edges, which tell it from a call by its lack of a call's header. */
const COUNT_URL = "http://edge/count";

interface Count {
  /** Whose it is: neither functions nor limits share a count by accident. */
  readonly scope: string;
  readonly key: string;
  readonly limit: number;
  readonly periodSeconds: number;
}

interface Window {
  readonly endsMs: number;
  readonly counts: Map<string, number>;
  /** Of all its keys. */
  characters: number;
}

export class RateLimits {
  readonly #edgeIndex: number;
  readonly #peers: readonly Fetcher[];
  readonly #windows = new Map<string, Window>();
  /** Of all windows. */
  #characters = 0;

  /** `peers`: by edge index; the own entry is never used. */
  constructor(edgeIndex: number, peers: readonly Fetcher[]) {
    this.#edgeIndex = edgeIndex;
    this.#peers = peers;
  }

  /** Whether this call is within the limit. It counts either way. */
  async take(
    { namespace, script }: Pick<Caller, "namespace" | "script">,
    { id, limit, periodSeconds }: RateLimitValue,
    key: string,
  ): Promise<boolean> {
    const scope = JSON.stringify([namespace, script, id, limit, periodSeconds]);
    const count: Count = { scope, key, limit, periodSeconds };
    const home = homeOf(scope + key, this.#peers.length);
    const peer = home === this.#edgeIndex ? undefined : this.#peers[home];
    if (peer === undefined) return this.count(count, Date.now());
    try {
      const response = await peer.fetch(COUNT_URL, { method: "POST", body: JSON.stringify(count) });
      if (response.ok) return await response.json<boolean>();
    } catch {
      // That edge is being replaced.
    }
    return this.count(count, Date.now());
  }

  /** From a cell. */
  async answer(request: Request, caller: EgressCall, grants: Grants): Promise<Response> {
    const { value, key } = await request.json<{ value: RateLimitValue; key: string }>();
    const limit = { ...value, type: "rate-limit" as const };
    if (!(await grants.hold(caller, limit, caller.grant))) return notGranted();
    return Response.json(await this.take(caller, value, key));
  }

  async answerPeer(request: Request): Promise<Response> {
    return Response.json(this.count(await request.json<Count>(), Date.now()));
  }

  count({ scope, key, limit, periodSeconds }: Count, nowMs: number): boolean {
    const window = this.#window(scope, periodSeconds, nowMs);
    const { counts } = window;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    if (count === 1) {
      this.#grow(window, key.length + KEY_OVERHEAD);
      if (counts.size > MAX_KEYS) {
        const [oldest = ""] = counts.keys();
        counts.delete(oldest);
        this.#grow(window, -(oldest.length + KEY_OVERHEAD));
      }
      while (this.#characters > MAX_CHARACTERS) this.#makeRoom(nowMs);
    }
    return count <= limit;
  }

  #grow(window: Window, characters: number): void {
    window.characters += characters;
    this.#characters += characters;
  }

  #window(scope: string, periodSeconds: number, nowMs: number): Window {
    const known = this.#windows.get(scope);
    if (known !== undefined && nowMs < known.endsMs) return known;
    this.#forget(scope);
    if (this.#windows.size >= MAX_LIMITS) this.#makeRoom(nowMs);
    const periodMs = periodSeconds * 1_000;
    const endsMs = (Math.floor(nowMs / periodMs) + 1) * periodMs;
    const window = { endsMs, counts: new Map<string, number>(), characters: 0 };
    this.#windows.set(scope, window);
    return window;
  }

  #makeRoom(nowMs: number): void {
    for (const [scope, { endsMs }] of this.#windows) if (endsMs <= nowMs) this.#forget(scope);
    const [oldest] = this.#windows.keys();
    const isFull = this.#windows.size >= MAX_LIMITS || this.#characters > MAX_CHARACTERS;
    if (isFull && oldest !== undefined) this.#forget(oldest);
  }

  #forget(scope: string): void {
    this.#characters -= this.#windows.get(scope)?.characters ?? 0;
    this.#windows.delete(scope);
  }

  /** Of the keys that are held. */
  get characters(): number {
    return this.#characters;
  }
}
