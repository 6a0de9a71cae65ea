/**
 * One writer: writes on and on through a function, and remembers what was acknowledged. What was not acknowledged may be
 * there or not; so may what it was to delete.
 */
import type { Platform } from "../platform.ts";
import type { Kind } from "./stage.ts";

export interface Wrong {
  readonly id: string;
  readonly expected: string;
  readonly found: string | number;
}

/** Ids that are looked at in one request; each costs the function up to two subrequests. */
const CHECKED_AT_ONCE = 20;
/** A write deletes what one so far before it has left, or nearer (functions.ts). */
const DELETES_BACK = 3;
const PAUSE_AFTER_FAILURE_MS = 20;

export class Writer {
  readonly kind: Kind;
  readonly script: string;
  readonly #platform: Platform;
  readonly #name: string;
  /** By id. Unacknowledged writes are not in it. */
  readonly #expected = new Map<string, "whole" | "absent">();
  #count = 0;
  #latest = -1;
  #isOver = false;
  #loop: Promise<void> = Promise.resolve();
  /** Of the latest write that was not acknowledged, for messages. */
  lastFailure = "";
  unacknowledged = 0;

  /** @param name Letters and digits, unique among the writers of its kind. */
  constructor(platform: Platform, script: string, kind: Kind, name: string) {
    this.#platform = platform;
    this.script = script;
    this.kind = kind;
    this.#name = name;
  }

  get name(): string {
    return this.#name;
  }

  /** How many writes were acknowledged. */
  get acknowledged(): number {
    return this.#count - this.unacknowledged;
  }

  /** Of acknowledged writes, whatever was deleted since. */
  readonly acknowledgedIds: string[] = [];

  /**
   * What it knows now, to be checked on a platform that was restored from a backup which begins now. What writes that may be in
   * that backup may have deleted is left out.
   */
  on(restored: Platform): Writer {
    const other = new Writer(restored, this.script, this.kind, this.#name);
    const reached = this.#count - DELETES_BACK;
    for (const [id, expected] of this.#expected) {
      if (Number(id.split("-")[1]) < reached) other.#expected.set(id, expected);
    }
    other.#latest = this.#latest;
    other.#count = Infinity;
    other.acknowledgedIds.push(...this.acknowledgedIds);
    return other;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const n = this.#count++;
      const id = `${this.#name}-${n}`;
      const deleted = n % 4 === 3 ? `${this.#name}-${n - 2}` : undefined;
      if (deleted !== undefined) this.#expected.delete(deleted);
      if (await this.#write(id)) {
        this.acknowledgedIds.push(id);
        this.#expected.set(id, "whole");
        if (deleted !== undefined) this.#expected.set(deleted, "absent");
        this.#latest = n;
      } else {
        this.unacknowledged++;
        await new Promise((resolve) => setTimeout(resolve, PAUSE_AFTER_FAILURE_MS));
      }
    }
  }

  async #write(id: string): Promise<boolean> {
    try {
      const response = await this.#platform.fetch(this.script, `/${this.kind}/${id}`, {
        method: "POST",
      });
      const text = await response.text();
      if (response.status === 200 && text === `written ${id}`) return true;
      this.lastFailure = `${response.status} ${text.slice(0, 300)}`;
    } catch (error) {
      this.lastFailure = String(error);
    }
    return false;
  }

  /** Compares all that was acknowledged with what is there. For a writer that has stopped. */
  async check(): Promise<Wrong[]> {
    if (this.kind === "queue") return [];
    const wrong: Wrong[] = [];
    const ids = [...this.#expected.keys()];
    for (let from = 0; from < ids.length; from += CHECKED_AT_ONCE) {
      const some = ids.slice(from, from + CHECKED_AT_ONCE);
      const found = await this.#read(some);
      for (const [index, id] of some.entries()) {
        const expected = this.#expected.get(id);
        if (found[index] !== expected)
          wrong.push({ id, expected: String(expected), found: found[index] ?? "nothing" });
      }
    }
    const register = `register-${this.#name}`;
    const [value = "nothing"] = await this.#read([register]);
    if (!(Number(value) >= this.#latest && Number(value) < this.#count)) {
      const expected = `${this.#latest} to ${this.#count - 1}`;
      wrong.push({ id: register, expected, found: value });
    }
    return wrong;
  }

  async #read(ids: readonly string[]): Promise<(string | number)[]> {
    const response = await this.#platform.fetch(this.script, `/${this.kind}/check`, {
      method: "POST",
      body: JSON.stringify(ids),
    });
    const text = await response.text();
    if (response.status !== 200) {
      throw new Error(`${this.script} could not read ${this.kind}: ${response.status} ${text}`);
    }
    return JSON.parse(text) as (string | number)[];
  }
}
