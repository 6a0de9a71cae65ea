/** How commands name a Worker: NAMESPACE/SCRIPT, or SCRIPT alone for one of the account's own. */
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
  const parts = word.split("/");
  if (parts.length > 2 || parts.includes("")) {
    throw new UsageError(
      `skep ${command}: expected NAMESPACE/SCRIPT, or SCRIPT for a Worker outside of namespaces, got ${JSON.stringify(word)}`,
    );
  }
  const [first = "", second] = parts;
  return second === undefined ? scriptTarget(null, first) : scriptTarget(first, second);
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
