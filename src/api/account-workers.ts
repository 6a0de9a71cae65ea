/**
 * Workers outside of a dispatch namespace, which Skep does not have yet. wrangler looks the account's
 * Worker of the same name up even when it deploys into a namespace, and must be told that there is none.
 */
import { param, type ApiContext } from "./context.ts";
import { page } from "./envelope.ts";
import { ApiError } from "./errors.ts";

export function listAccountWorkers(c: ApiContext): Response {
  return page(c, []);
}

export function lookUpAccountWorker(c: ApiContext): never {
  throw new ApiError(
    "workerNotFound",
    `workers.api.error.script_not_found: there is no Worker '${param(c, "script")}' outside of a dispatch namespace.`,
  );
}

/** What wrangler asks before it uploads a new Worker outside of a namespace; never for one inside. */
export function lookUpSubdomain(): never {
  throw new ApiError("notSupported", `A Worker ${OUTSIDE}`);
}

export function changeAccountWorker(c: ApiContext): never {
  throw new ApiError("notSupported", `'${param(c, "script")}' would be a Worker ${OUTSIDE}`);
}

const OUTSIDE =
  "outside of a dispatch namespace, which this platform does not run yet. Deploy it into a namespace: wrangler deploy --dispatch-namespace <namespace>";
