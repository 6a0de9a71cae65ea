/**
 * Whether there is room for a script's objects. Its process writes their files and asks nobody, and the runtime has no limit
 * that could be set; so files are measured while it runs, the store counts them for the quota, and a script beyond it has no
 * process until something of it was deleted or the quota was raised. What it writes between two looks is beyond the quota.
 */
import { readFileSync } from "node:fs";

export interface RoomsOptions {
  /** What the files take of the disk, in bytes. */
  readonly measure: (scriptId: string) => Promise<number>;
  /** Tells the store. Why there is no room for them; null: there is. Rejects if that is not known now. */
  readonly tell: (scriptId: string, bytes: number) => Promise<string | null>;
  /** Ends the script's process at once. */
  readonly end: (scriptId: string) => void;
  readonly log: (line: string) => void;
}

/** There is no room for what the objects of a script take. */
export class OverQuotaError extends Error {
  override readonly name = "OverQuotaError";
}

const LOOK_EVERY_MS = 500;
/** To measure many files takes long: it is done for this share of the time, or when so much was written. */
const MEASURING_SHARE = 1 / 20;
const MUCH_BYTES = 64 * 2 ** 20;

export class ObjectRooms {
  readonly #options: RoomsOptions;

  constructor(options: RoomsOptions) {
    this.#options = options;
  }

  /** Before a process is started. @throws OverQuotaError */
  async require(scriptId: string): Promise<void> {
    const refusal = await this.look(scriptId);
    if (refusal) throw new OverQuotaError(refusal);
  }

  /** As `tell`; undefined: it is not known. */
  async look(scriptId: string): Promise<string | null | undefined> {
    const { measure, tell, log } = this.#options;
    try {
      const refusal = await tell(scriptId, await measure(scriptId));
      return refusal && `There is no room for the Durable Objects of this function: ${refusal}`;
    } catch (error) {
      log(`whether there is room for the objects of script ${scriptId}: ${String(error)}`);
      return undefined;
    }
  }

  /** While a process of the script runs, and once more at its end. `writtenBytes`: by the process until now; undefined: nobody can tell. */
  async watch(
    scriptId: string,
    exited: Promise<unknown>,
    writtenBytes: () => number | undefined,
  ): Promise<void> {
    const process = { isGone: false, wake: () => {} };
    void exited.then(() => {
      process.isGone = true;
      process.wake();
    });
    let writtenThen = 0;
    let restUntilMs = 0;
    for (;;) {
      if (!process.isGone) await nextLook(process);
      const isLast = process.isGone;
      const written = writtenBytes();
      const more = written === undefined ? undefined : written - writtenThen;
      const isResting = performance.now() < restUntilMs && (more ?? 0) < MUCH_BYTES;
      if (!isLast && (more === 0 || isResting)) continue;
      const startMs = performance.now();
      const refusal = await this.look(scriptId);
      if (isLast) return;
      const endMs = performance.now();
      restUntilMs = endMs + (endMs - startMs) / MEASURING_SHARE;
      if (refusal !== undefined) writtenThen = written ?? 0;
      if (!refusal) continue;
      this.#options.log(`script ${scriptId} is ended: ${refusal}`);
      this.#options.end(scriptId);
      await exited;
    }
  }
}

/** Or when the process is gone. */
function nextLook(process: { wake: () => void }): Promise<void> {
  return new Promise((resolve) => {
    process.wake = resolve;
    setTimeout(resolve, LOOK_EVERY_MS).unref();
  });
}

/** By a process, to files and sockets; undefined: it is gone, or this may not be known. */
export function writtenBytes(pid: number): number | undefined {
  try {
    const [, text] = /^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8")) ?? [];
    return text === undefined ? undefined : Number(text);
  } catch {
    return undefined;
  }
}
