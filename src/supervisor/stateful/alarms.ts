/**
 * Wakes stateful scripts whose cells have ended when an alarm of theirs is due. While a script's process runs, the runtime
 * fires its alarms by itself.
 */
export interface AlarmsOptions {
  /** Unix milliseconds; undefined: there is none. */
  readonly nextAlarm: (scriptId: string) => number | undefined;
  /** Starts the script's cell, if there is still such a script. Rejects if that must be tried again. */
  readonly wake: (scriptId: string) => Promise<void>;
  readonly log: (line: string) => void;
}

/** An alarm that ends its process is due again at once: each time it waits twice as long. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10 * 60 * 1000;
/** A process that lived so long has not been ended by the alarm that it was started for. */
const LONG_LIFE_MS = 60_000;
/** After a time without a platform all may be due at once. */
const MAX_WAKING = 8;
/** Node's timers hold no more than 2^31 ms. */
const LONGEST_TIMER_MS = 2 ** 30;

export class Alarms {
  readonly #options: AlarmsOptions;
  /** By script: when to wake it. Unix milliseconds. */
  readonly #due = new Map<string, number>();
  /** By script: what was last waited in vain. */
  readonly #pauses = new Map<string, number>();
  #waking = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: AlarmsOptions) {
    this.#options = options;
  }

  /** After the start of the platform. No process of the script runs. */
  look(scriptId: string): void {
    if (this.#stopped) return;
    this.#read(scriptId, 0);
    this.#schedule();
  }

  /** Its process has ended, after so long. */
  ended(scriptId: string, livedMs: number): void {
    if (this.#stopped) return;
    if (livedMs >= LONG_LIFE_MS) this.#pauses.delete(scriptId);
    this.#read(scriptId, Date.now() + this.#pause(scriptId));
    if (!this.#due.has(scriptId)) this.#pauses.delete(scriptId);
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #read(scriptId: string, earliestMs: number): void {
    try {
      const nextMs = this.#options.nextAlarm(scriptId);
      if (nextMs === undefined) this.#due.delete(scriptId);
      else this.#due.set(scriptId, Math.max(nextMs, earliestMs));
    } catch (error) {
      this.#options.log(`the alarms of script ${scriptId} cannot be read: ${String(error)}`);
    }
  }

  #pause(scriptId: string): number {
    const before = this.#pauses.get(scriptId);
    const pauseMs = Math.min(before === undefined ? FIRST_PAUSE_MS : 2 * before, LONGEST_PAUSE_MS);
    this.#pauses.set(scriptId, pauseMs);
    return pauseMs;
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#stopped || this.#due.size === 0 || this.#waking >= MAX_WAKING) return;
    let nextMs = Infinity;
    for (const dueMs of this.#due.values()) nextMs = Math.min(nextMs, dueMs);
    const waitMs = Math.min(Math.max(0, nextMs - Date.now()), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => this.#wakeDue(), waitMs);
    this.#timer.unref();
  }

  #wakeDue(): void {
    const nowMs = Date.now();
    for (const [scriptId, dueMs] of this.#due) {
      if (this.#waking >= MAX_WAKING) break;
      if (dueMs > nowMs) continue;
      this.#due.delete(scriptId);
      void this.#wake(scriptId);
    }
    this.#schedule();
  }

  async #wake(scriptId: string): Promise<void> {
    this.#waking++;
    try {
      await this.#options.wake(scriptId);
    } catch (error) {
      if (!this.#stopped) {
        this.#options.log(`script ${scriptId} was not woken for its alarm: ${String(error)}`);
        this.#due.set(scriptId, Date.now() + this.#pause(scriptId));
      }
    } finally {
      this.#waking--;
      this.#schedule();
    }
  }
}
