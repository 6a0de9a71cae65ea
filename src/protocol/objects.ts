/**
 * Durable Objects of functions. A script that has classes of them runs in a cell of its own, a *stateful* one, whose process
 * holds the objects; no other process may open their files. Everybody else reaches an object by a call that names it.
 *
 * Of each class the objects live below a *key*: 32 hex digits that no two classes of the platform share. It stays when
 * the class is renamed, or transferred to another script, and the ids of objects are derived from it. It is the id of
 * the Durable Object namespace in the API, too.
 */
import type { Workflow } from "./workflows.ts";

/** A class whose objects a script has. */
export interface ObjectClass {
  readonly key: string;
  /** As the script exports it now. */
  readonly className: string;
}

/** What a stateful version has to have beside its code. */
export interface ObjectHome {
  /** Of the script; it stays when the script is deployed anew. Names the directory of its objects. */
  readonly scriptId: string;
  readonly classes: readonly ObjectClass[];
  /** Those that run: their instances lie beside the objects (workflows.ts). */
  readonly workflows?: readonly Workflow[];
}

/** Who has a class, by name. */
export interface ObjectOwner {
  readonly namespace: string;
  readonly script: string;
}

/** The object that a call is for. */
export interface ObjectAddress {
  /** Of its class. */
  readonly key: string;
  /** 64 hex digits. */
  readonly id: string;
  /** What the id was derived from, if the caller knows; the object finds it as `ctx.id.name`. */
  readonly name?: string;
}

/**
 * What has to be done with directories of objects after a deploy; nothing of the scripts runs meanwhile. Each is done once
 * it was done twice, too.
 */
export type ObjectChange =
  | { readonly type: "delete"; readonly key: string; readonly scriptId: string }
  | {
      readonly type: "transfer";
      readonly key: string;
      readonly fromScriptId: string;
      readonly toScriptId: string;
    }
  /** The process of the script ends: the next one starts with settings that were changed. */
  | { readonly type: "renew"; readonly scriptId: string };

/** Body of `POST /objects/changes`, hub -> supervisor. In order. */
export interface ObjectChanges {
  readonly changes: readonly ObjectChange[];
}

/**
 * Supervisor -> store, on its control socket: `POST /script/{id}/objects` {bytes}, what the files of a script's objects take.
 * 404: the store does not know the script yet.
 */
export interface ObjectRoomAnswer {
  /** Why there is no room for that; null: there is. */
  readonly refusal: string | null;
}

/** Objects of one class that have stored something, by id in ascending order. */
export interface ObjectList {
  readonly ids: readonly string[];
  /** There are more after the last one. */
  readonly isTruncated: boolean;
}
