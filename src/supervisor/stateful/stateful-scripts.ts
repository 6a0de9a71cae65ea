/** Scripts with Durable Objects, to the supervisor: their processes, their files, their alarms. */
import { setImmediate } from "node:timers/promises";
import { decodeBundle, type Bundle } from "../../protocol/bundle.ts";
import type { CellAssignment, CellRequest } from "../../protocol/incident.ts";
import type {
  ObjectChange,
  ObjectChanges,
  ObjectList,
  ObjectRoomAnswer,
} from "../../protocol/objects.ts";
import {
  instancesKey,
  type WorkflowAnswer,
  type WorkflowCellCall,
  type WorkflowRequest,
} from "../../protocol/workflows.ts";
import { callControl } from "../control-client.ts";
import type { Launcher } from "../launcher.ts";
import { socketNames } from "../socket-names.ts";
import { Alarms } from "./alarms.ts";
import { ObjectFiles } from "./files.ts";
import { ObjectRooms } from "./rooms.ts";
import { StatefulStarts } from "./starts.ts";
import { Turns } from "./turns.ts";

export interface StatefulScriptsOptions {
  readonly launcher: Launcher;
  /** Absolute path: where objects lie. */
  readonly root: string;
  readonly assign: (request: CellRequest) => Promise<CellAssignment>;
  /** Ends the processes of a script. */
  readonly end: (scriptId: string) => void;
  /** The same, at once. */
  readonly kill: (scriptId: string) => void;
  readonly log: (line: string) => void;
}

/** A bundle may have tens of megabytes. */
const HUB_TIMEOUT_MS = 10_000;
const STORE_TIMEOUT_MS = 5_000;
/** The most objects of a list. */
const MAX_LISTED = 10_000;
/** Each is read from its database. */
const MAX_LISTED_INSTANCES = 1_000;
/** With one call. */
const MAX_WOKEN = 100;
const CELL_TIMEOUT_MS = 10_000;

export class StatefulScripts {
  readonly starts: StatefulStarts;
  readonly #options: StatefulScriptsOptions;
  readonly #files: ObjectFiles;
  readonly #turns = new Turns();
  readonly #rooms: ObjectRooms;
  readonly #alarms: Alarms;

  constructor(options: StatefulScriptsOptions) {
    const { launcher, root, kill, log } = options;
    this.#options = options;
    const files = new ObjectFiles(root);
    this.#files = files;
    this.#alarms = new Alarms({
      nextAlarm: (scriptId) => files.nextAlarm(scriptId),
      wake: (scriptId) => this.#wake(scriptId),
      log,
    });
    this.#rooms = new ObjectRooms({
      measure: (scriptId) => files.bytes(scriptId),
      tell: tellRoom,
      end: kill,
      log,
    });
    this.starts = new StatefulStarts({
      turns: this.#turns,
      rooms: this.#rooms,
      bundle: readBundle,
      launch: async (request, bundle) => {
        const { scriptId } = request.objects;
        const home = files.home(scriptId);
        const left = files.leftBehind(scriptId);
        const process = await launcher.stateful(request, bundle, home);
        process.ready
          .then(() => this.#goOn(process.life, left))
          .catch((error: unknown) => {
            if (left.length > 0)
              log(`Workflows of script ${scriptId} go on later: ${String(error)}`);
          });
        return process;
      },
      onEnd: (scriptId, livedMs) => this.#alarms.ended(scriptId, livedMs),
    });
  }

  /** When cells can be assigned. There may be thousands of scripts, and this process has more to do. */
  async start(): Promise<void> {
    for (const scriptId of this.#files.scripts()) {
      // What its process leaves is read when that ends.
      if (!this.#turns.isTaken(scriptId)) this.#alarms.look(scriptId);
      await setImmediate();
    }
  }

  stop(): void {
    this.#alarms.stop();
  }

  /** Resolves when all is done, in their order. */
  async change({ changes }: ObjectChanges): Promise<void> {
    for (const change of changes) await this.#change(change);
  }

  list(scriptId: string, key: string, after: string, limit: number): ObjectList {
    return this.#files.list(scriptId, key, after, Math.min(limit, MAX_LISTED));
  }

  /** Starts the script's cell, if there is something to ask of it. Rejects if there is none. */
  async workflows({ scriptId, workflow, call }: WorkflowRequest): Promise<WorkflowAnswer> {
    if (call.type !== "list") return this.#askCell(scriptId, { workflow, call });
    const { type, offset, limit } = call;
    const { ids, total } = this.#files.newest(
      scriptId,
      instancesKey(workflow),
      offset,
      Math.min(limit, MAX_LISTED_INSTANCES),
    );
    if (ids.length === 0) return { ok: true, value: [], total };
    const listed = await this.#askCell(scriptId, { workflow, call: { type, objects: ids } });
    return listed.ok ? { ...listed, total } : listed;
  }

  async #askCell(scriptId: string, call: WorkflowCellCall): Promise<WorkflowAnswer> {
    const request = await readRequest(scriptId);
    if (request === null) {
      const error = `no version in force runs a Workflow '${call.workflow}'`;
      return { ok: false, error };
    }
    const { life } = await this.#options.assign(request);
    return askCell(life, call);
  }

  /** What is in memory no more goes on when the engine is asked for it, and else within ten minutes. */
  async #goOn(life: number, left: ReturnType<ObjectFiles["leftBehind"]>): Promise<void> {
    for (const { workflow, ids } of left) {
      for (let at = 0; at < ids.length; at += MAX_WOKEN) {
        const call = { type: "wake", ids: ids.slice(at, at + MAX_WOKEN) } as const;
        await askCell(life, { workflow, call });
      }
    }
  }

  /** One object, with all that it has stored. */
  async remove(scriptId: string, key: string, id: string): Promise<void> {
    await this.#alone([scriptId], () => this.#files.remove(scriptId, key, id));
  }

  #change(change: ObjectChange): Promise<void> {
    const scriptIds =
      change.type === "transfer" ? [change.fromScriptId, change.toScriptId] : [change.scriptId];
    return this.#alone(scriptIds, () => this.#files.apply(change));
  }

  /** Does something with files of scripts, of which no process runs meanwhile. */
  async #alone(given: readonly string[], work: () => void): Promise<void> {
    // In an order of their own, so that no two changes wait for each other.
    const scriptIds = given.toSorted();
    const turns: (() => void)[] = [];
    try {
      for (const scriptId of scriptIds) {
        this.#options.end(scriptId);
        turns.push(await this.#turns.take(scriptId));
      }
      work();
    } finally {
      for (const endTurn of turns) endTurn();
      for (const scriptId of scriptIds) this.#alarms.ended(scriptId, Infinity);
    }
    await Promise.all(scriptIds.map((scriptId) => this.#rooms.look(scriptId)));
  }

  async #wake(scriptId: string): Promise<void> {
    const request = await readRequest(scriptId);
    if (request !== null) await this.#options.assign(request);
  }
}

async function readBundle(versionId: string): Promise<Bundle> {
  const answer = await askHub(`/bundles/${versionId}`);
  return decodeBundle(new Uint8Array(answer));
}

/** null: there is no such script, or it has no Durable Objects any more. */
async function readRequest(scriptId: string): Promise<CellRequest | null> {
  const answer = await askHub(`/objects/${scriptId}`);
  return JSON.parse(answer.toString()) as CellRequest | null;
}

async function askCell(life: number, call: WorkflowCellCall): Promise<WorkflowAnswer> {
  const answer = await callControl({
    socket: socketNames.cellControl(life),
    method: "POST",
    path: "/workflows",
    body: JSON.stringify(call),
    timeoutMs: CELL_TIMEOUT_MS,
  });
  return JSON.parse(answer.toString()) as WorkflowAnswer;
}

async function tellRoom(scriptId: string, bytes: number): Promise<string | null> {
  const answer = await callControl({
    socket: socketNames.storeControl,
    method: "POST",
    path: `/script/${scriptId}/objects`,
    body: JSON.stringify({ bytes }),
    timeoutMs: STORE_TIMEOUT_MS,
  });
  return (JSON.parse(answer.toString()) as ObjectRoomAnswer).refusal;
}

function askHub(path: string): Promise<Buffer> {
  return callControl({ socket: socketNames.admin, method: "GET", path, timeoutMs: HUB_TIMEOUT_MS });
}
