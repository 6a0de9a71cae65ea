/**
 * Starts the processes of stateful cells. A script has one at a time: the next one waits until the one before is gone,
 * and while something is done with the files of its objects.
 */
import type { Bundle } from "../../protocol/bundle.ts";
import type { CellRequest } from "../../protocol/incident.ts";
import type { ObjectHome } from "../../protocol/objects.ts";
import { callControl } from "../control-client.ts";
import { drain } from "../drain.ts";
import { socketNames } from "../socket-names.ts";
import type { WorkerdProcess } from "../workerd-process.ts";
import { OverQuotaError, writtenBytes, type ObjectRooms } from "./rooms.ts";
import type { Turns } from "./turns.ts";

export type StatefulRequest = CellRequest & { readonly objects: ObjectHome };

export function isStateful(request: CellRequest | null | undefined): request is StatefulRequest {
  return request?.objects !== undefined;
}

export interface StatefulStartsOptions {
  readonly turns: Turns;
  readonly rooms: Pick<ObjectRooms, "require" | "watch">;
  /** Its code and bindings, from the hub. */
  readonly bundle: (versionId: string) => Promise<Bundle>;
  readonly launch: (request: StatefulRequest, bundle: Bundle) => Promise<WorkerdProcess>;
  /** A process of the script has ended, and no other one has begun. */
  readonly onEnd: (scriptId: string, livedMs: number) => void;
}

const START_TIMEOUT_MS = 30_000;
const HANG_UP_MS = 500;
const DRAIN_MS = 3_000;

/** A version that did not start. */
interface Failure {
  readonly versionId: string;
  readonly reason: Error;
  readonly pauseMs: number;
  /** performance.now */
  readonly untilMs: number;
}

/** Each request would start a process: the first one after a pause does, which grows. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;
/** Whether there is room by now. */
const ROOM_PAUSE_MS = 1000;

export class StatefulStarts {
  readonly #options: StatefulStartsOptions;
  /** By script. */
  readonly #failures = new Map<string, Failure>();

  constructor(options: StatefulStartsOptions) {
    this.#options = options;
  }

  /**
   * `use` is called with a process when it is ready, or `fail` with why there is none; `launched` before, when it is
   * there. What is returned withdraws the wish.
   */
  take(
    request: StatefulRequest,
    launched: (process: WorkerdProcess) => void,
    use: (process: WorkerdProcess) => void,
    fail: (reason: Error) => void,
  ): () => void {
    const wish = { isWithdrawn: false };
    const { scriptId } = request.objects;
    this.#start(request, wish, launched).then(
      (process) => {
        if (process !== undefined) this.#failures.delete(scriptId);
        if (wish.isWithdrawn) process?.kill("SIGKILL");
        else if (process !== undefined) use(process);
      },
      (error: unknown) => {
        const reason = error instanceof Error ? error : new Error(String(error));
        this.#failed(request, reason);
        if (!wish.isWithdrawn) fail(reason);
      },
    );
    return () => (wish.isWithdrawn = true);
  }

  /** Why a start would be in vain now. */
  failureOf({ versionId, objects }: StatefulRequest): Error | undefined {
    const failure = this.#failures.get(objects.scriptId);
    const isRecent = failure?.versionId === versionId && performance.now() < failure.untilMs;
    return isRecent ? failure.reason : undefined;
  }

  #failed({ versionId, objects }: StatefulRequest, reason: Error): void {
    const before = this.#failures.get(objects.scriptId);
    const next =
      before?.versionId === versionId
        ? Math.min(2 * before.pauseMs, LONGEST_PAUSE_MS)
        : FIRST_PAUSE_MS;
    const pauseMs = reason instanceof OverQuotaError ? ROOM_PAUSE_MS : next;
    const untilMs = performance.now() + pauseMs;
    this.#failures.set(objects.scriptId, { versionId, reason, pauseMs, untilMs });
  }

  /** Lets a process finish its requests, within a bound, since the next one waits for its end. WebSockets end at once. */
  async end(process: WorkerdProcess): Promise<void> {
    const socket = socketNames.cellControl(process.life);
    const call = { socket, method: "POST", path: "/hang-up", timeoutMs: HANG_UP_MS } as const;
    await callControl(call).catch(() => {
      // It is stuck, or gone.
    });
    await drain(process, DRAIN_MS);
  }

  /** undefined: nobody wants it any more. */
  async #start(
    request: StatefulRequest,
    wish: { readonly isWithdrawn: boolean },
    launched: (process: WorkerdProcess) => void,
  ): Promise<WorkerdProcess | undefined> {
    const { turns, rooms, bundle, launch, onEnd } = this.#options;
    const { scriptId } = request.objects;
    const endTurn = await turns.take(scriptId);
    let process: WorkerdProcess;
    try {
      if (!wish.isWithdrawn) await rooms.require(scriptId);
      const loaded = wish.isWithdrawn ? undefined : await bundle(request.versionId);
      if (loaded === undefined || wish.isWithdrawn) {
        endTurn();
        return undefined;
      }
      process = await launch(request, loaded);
    } catch (error) {
      endTurn();
      throw error;
    }
    const startedMs = performance.now();
    void process.exited.then(() => {
      endTurn();
      onEnd(scriptId, performance.now() - startedMs);
    });
    void rooms.watch(scriptId, process.exited, () => {
      const { workerdPid } = process;
      return workerdPid === undefined ? undefined : writtenBytes(workerdPid);
    });
    launched(process);
    const timer = setTimeout(() => process.kill("SIGKILL"), START_TIMEOUT_MS);
    await process.ready.finally(() => clearTimeout(timer));
    return process;
  }
}
