/**
 * How commands name a Worker: NAMESPACE/SCRIPT, or SCRIPT alone for one of the account's own. Where a word alone is a
 * namespace, as for `skep tail`, the account's own are /SCRIPT, which is understood everywhere.
 */
import { UsageError } from "./command.ts";

/** In help texts. */
export const TARGET = "[NAMESPACE/]SCRIPT";

export interface ScriptTarget {
  /** As people write it. */
  readonly name: string;
  /** Follows the account's path in the API. */
  readonly path: string;
}

/** @param command With its action, for the message. @throws UsageError */
export function readTarget(command: string, word = ""): ScriptTarget {
  const [, namespace, script] = /^(?:([^/]*)\/)?([^/]+)$/.exec(word) ?? [];
  if (script === undefined) {
    throw new UsageError(
      `skep ${command}: expected NAMESPACE/SCRIPT, or SCRIPT for a Worker outside of namespaces, got ${JSON.stringify(word)}`,
    );
  }
  return scriptTarget(namespace || null, script);
}

/** A path of the API, below the account's. A word alone is a namespace. @throws UsageError */
export function readTargetOrNamespace(command: string, word = ""): string {
  if (word.includes("/")) return readTarget(command, word).path;
  if (word !== "") return `/workers/dispatch/namespaces/${encodeURIComponent(word)}`;
  throw new UsageError(
    `skep ${command}: expected NAMESPACE, NAMESPACE/SCRIPT, or /SCRIPT for a Worker outside of namespaces`,
  );
}

export function scriptTarget(namespace: string | null, script: string): ScriptTarget {
  const scripts =
    namespace === null
      ? "/workers/scripts"
      : `/workers/dispatch/namespaces/${encodeURIComponent(namespace)}/scripts`;
  return {
    name: namespace === null ? script : `${namespace}/${script}`,
    path: `${scripts}/${encodeURIComponent(script)}`,
  };
}
