/**
 * The hub's calls to the supervisor (src/protocol/hub.ts). A failure is a sentence: the supervisor may be
 * restarting at any time, and what was stored by then stays stored.
 */
import type { RoutingUpdate } from "../protocol/routing.ts";
import { failure, success, type Result } from "./result.ts";

/** Longer than the supervisor takes to replace an edge that does not answer. */
const CALL_WALL_MS = 15_000;

export function pushRouting(
  supervisor: Fetcher,
  update: RoutingUpdate,
): Promise<Result<null, string>> {
  return call(supervisor, "/routing", JSON.stringify(update));
}

export function renewCertificate(supervisor: Fetcher): Promise<Result<null, string>> {
  return call(supervisor, "/certificate");
}

export function replaceTrialCell(supervisor: Fetcher): Promise<Result<null, string>> {
  return call(supervisor, "/trial/replace");
}

async function call(
  supervisor: Fetcher,
  path: string,
  body?: string,
): Promise<Result<null, string>> {
  try {
    const response = await supervisor.fetch(`http://supervisor${path}`, {
      method: "POST",
      ...(body !== undefined && { body }),
      signal: AbortSignal.timeout(CALL_WALL_MS),
    });
    if (response.ok) {
      await response.body?.cancel();
      return success();
    }
    return failure(`supervisor answered ${response.status} to ${path}: ${await response.text()}`);
  } catch (error) {
    return failure(`supervisor did not answer ${path}: ${String(error)}`);
  }
}
