/** Names of functions on the command line, as paths of the API. */
import { UsageError } from "./command.ts";

/** `NAMESPACE/SCRIPT`, `NAMESPACE` for all of it, or `/SCRIPT` for a Worker outside of namespaces. */
export function workerPath(target: string): string {
  const [namespace = "", script, ...rest] = target.split("/");
  const encoded = encodeURIComponent;
  if (rest.length > 0 || script === "") throw bad(target);
  if (script === undefined) return `/workers/dispatch/namespaces/${encoded(namespace)}`;
  if (namespace === "") return `/workers/scripts/${encoded(script)}`;
  return `/workers/dispatch/namespaces/${encoded(namespace)}/scripts/${encoded(script)}`;
}

function bad(target: string): UsageError {
  return new UsageError(`"${target}" is not NAMESPACE/SCRIPT, or /SCRIPT outside of namespaces`);
}
