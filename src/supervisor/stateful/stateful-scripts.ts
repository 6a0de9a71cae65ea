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
      launch: (request, bundle) =>
        launcher.stateful(request, bundle, files.home(request.objects.scriptId)),
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

  /** One object, with all that it has stored. */
  async remove(scriptId: string, key: string, id: string): Promise<void> {
    await this.#alone([scriptId], () => this.#files.remove(scriptId, key, id));
  }

  #change(change: ObjectChange): Promise<void> {
    const scriptIds =
      change.type === "delete" ? [change.scriptId] : [change.fromScriptId, change.toScriptId];
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
