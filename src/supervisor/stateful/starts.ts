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
import type { Turns } from "./turns.ts";

export type StatefulRequest = CellRequest & { readonly objects: ObjectHome };

export function isStateful(request: CellRequest | null | undefined): request is StatefulRequest {
  return request?.objects !== undefined;
}

export interface StatefulStartsOptions {
  readonly turns: Turns;
  /** Its code and bindings, from the hub. */
  readonly bundle: (versionId: string) => Promise<Bundle>;
  readonly launch: (request: StatefulRequest, bundle: Bundle) => Promise<WorkerdProcess>;
  /** A process of the script has ended, and no other one has begun. */
  readonly onEnd: (scriptId: string, livedMs: number) => void;
}

const START_TIMEOUT_MS = 30_000;
const HANG_UP_MS = 500;
const DRAIN_MS = 3_000;

export class StatefulStarts {
  readonly #options: StatefulStartsOptions;

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
    fail: (reason: string) => void,
  ): () => void {
    const wish = { isWithdrawn: false };
    this.#start(request, wish, launched).then(
      (process) => {
        if (wish.isWithdrawn) process?.kill("SIGKILL");
        else if (process !== undefined) use(process);
      },
      (error: unknown) => {
        if (!wish.isWithdrawn) fail(error instanceof Error ? error.message : String(error));
      },
    );
    return () => (wish.isWithdrawn = true);
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
    const { turns, bundle, launch, onEnd } = this.#options;
    const { scriptId } = request.objects;
    const endTurn = await turns.take(scriptId);
    let process: WorkerdProcess;
    try {
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
    launched(process);
    const timer = setTimeout(() => process.kill("SIGKILL"), START_TIMEOUT_MS);
    await process.ready.finally(() => clearTimeout(timer));
    return process;
  }
}
