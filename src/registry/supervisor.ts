/**
 * The hub's calls to the supervisor (src/protocol/hub.ts). A failure is a sentence: the supervisor may be
 * restarting at any time, and what was stored by then stays stored.
 */
import { OVER_QUOTA } from "../protocol/dispatch-errors.ts";
import type { ProcessCounters, TrialLoss } from "../protocol/hub.ts";
import type { CellAssignment, CellRequest } from "../protocol/incident.ts";
import type { ObjectChanges, ObjectList } from "../protocol/objects.ts";
import type { RoutingUpdate } from "../protocol/routing.ts";
import type { WorkflowAnswer, WorkflowRequest } from "../protocol/workflows.ts";
import { failure, success, type Result } from "./result.ts";

/** Longer than the supervisor takes to replace an edge that does not answer. */
const CALL_WALL_MS = 15_000;

export async function pushRouting(
  supervisor: Fetcher,
  update: RoutingUpdate,
): Promise<Result<null, string>> {
  return discard(await call(supervisor, "/routing", JSON.stringify(update)));
}

export async function renewCertificate(supervisor: Fetcher): Promise<Result<null, string>> {
  return discard(await call(supervisor, "/certificate"));
}

/** Kills the trial cell; resolves when there is a new one. */
export function replaceTrialCell(supervisor: Fetcher): Promise<Result<TrialLoss, string>> {
  return json(call(supervisor, "/trial/replace"));
}

export async function assignCell(
  supervisor: Fetcher,
  request: CellRequest,
): Promise<Result<CellAssignment, { readonly isOverQuota: boolean; readonly detail: string }>> {
  const answered = await call(supervisor, "/cells/assign", JSON.stringify(request), "POST", [
    OVER_QUOTA,
  ]);
  if (!answered.ok) return failure({ isOverQuota: false, detail: answered.failure });
  const response = answered.value;
  return response.ok
    ? success(await response.json<CellAssignment>())
    : failure({ isOverQuota: true, detail: await response.text() });
}

/** Deletes and moves directories of Durable Objects. */
export async function changeObjects(
  supervisor: Fetcher,
  changes: ObjectChanges,
): Promise<Result<null, string>> {
  return discard(await call(supervisor, "/objects/changes", JSON.stringify(changes)));
}

export async function deleteObject(
  supervisor: Fetcher,
  { scriptId, key }: { readonly scriptId: string; readonly key: string },
  id: string,
): Promise<Result<null, string>> {
  const query = new URLSearchParams({ script: scriptId, key, id });
  return discard(await call(supervisor, `/objects?${query.toString()}`, undefined, "DELETE"));
}

/** Of one class, from the one after `after` on. */
export function listObjects(
  supervisor: Fetcher,
  { scriptId, key }: { readonly scriptId: string; readonly key: string },
  after: string,
  limit: number,
): Promise<Result<ObjectList, string>> {
  const query = new URLSearchParams({ script: scriptId, key, after, limit: String(limit) });
  return json(call(supervisor, `/objects?${query.toString()}`, undefined, "GET"));
}

/** With what a function's Workflow has: starts its cell if need be. */
export function askWorkflow(
  supervisor: Fetcher,
  request: WorkflowRequest,
): Promise<Result<WorkflowAnswer, string>> {
  return json(call(supervisor, "/workflows", JSON.stringify(request)));
}

export function readProcesses(supervisor: Fetcher): Promise<Result<ProcessCounters, string>> {
  return json(call(supervisor, "/processes", undefined, "GET"));
}

async function json<T>(answer: Promise<Result<Response, string>>): Promise<Result<T, string>> {
  const answered = await answer;
  return answered.ok ? success(await answered.value.json<T>()) : answered;
}

async function discard(answered: Result<Response, string>): Promise<Result<null, string>> {
  if (!answered.ok) return answered;
  await answered.value.body?.cancel();
  return success();
}

async function call(
  supervisor: Fetcher,
  path: string,
  body?: string,
  method = "POST",
  expected: readonly number[] = [],
): Promise<Result<Response, string>> {
  try {
    const response = await supervisor.fetch(`http://supervisor${path}`, {
      method,
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(CALL_WALL_MS),
    });
    if (response.ok || expected.includes(response.status)) return success(response);
    return failure(`supervisor answered ${response.status} to ${path}: ${await response.text()}`);
  } catch (error) {
    return failure(`supervisor did not answer ${path}: ${String(error)}`);
  }
}
