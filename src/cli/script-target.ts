/**
 * How commands name a Worker: NAMESPACE/SCRIPT, or SCRIPT alone for one of the account's own. Where a word alone is a
 * namespace, as for `skep tail`, the account's own are /SCRIPT, which is understood everywhere.
 */
import { UsageError, type CommandArguments } from "./command.ts";

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
  if (word !== "") return namespacePath(word);
  throw new UsageError(
    `skep ${command}: expected NAMESPACE, NAMESPACE/SCRIPT, or /SCRIPT for a Worker outside of namespaces`,
  );
}

export function scriptTarget(namespace: string | null, script: string): ScriptTarget {
  return {
    name: namespace === null ? script : `${namespace}/${script}`,
    path: `${namespacePath(namespace)}/scripts/${encodeURIComponent(script)}`,
  };
}

/** null: outside of namespaces. */
export function namespacePath(namespace: string | null): string {
  if (namespace === null) return "/workers";
  return `/workers/dispatch/namespaces/${encodeURIComponent(namespace)}`;
}

/** Of commands that show a whole namespace: --namespace, or --account for what is outside of them. @throws UsageError */
export function readNamespace(
  command: string,
  { values, switches }: Pick<CommandArguments, "values" | "switches">,
): string {
  const { namespace } = values;
  if (!switches.has("account")) return namespacePath(namespace ?? "production");
  if (namespace === undefined) return namespacePath(null);
  throw new UsageError(`skep ${command}: --account and --namespace exclude each other`);
}
