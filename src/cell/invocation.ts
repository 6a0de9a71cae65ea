/** An invocation from its call to its response head: its isolate's accounts, and its wall limit. */
import { LimitError } from "../protocol/dispatch-errors.ts";
import type { InvocationLimits } from "../protocol/hop.ts";
import type { Deadlines, Started } from "./deadlines.ts";
import type { Isolate } from "./isolate.ts";

/** Settles as `answer` does, or rejects with a LimitError if that takes too long. */
export function accounted(
  answer: Promise<Response>,
  isolate: Isolate,
  limits: InvocationLimits,
  via: readonly string[],
  deadlines: Deadlines,
  nowMs: number,
  onFailure: (isolate: Isolate, error: unknown) => void,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const invocation: Started = {
      deadlineMs: nowMs + limits.wallMs,
      expire() {
        isolate.end(via);
        reject(tooSlow(limits.wallMs));
      },
    };
    isolate.begin(limits, via, nowMs);
    deadlines.add(invocation, nowMs);
    answer.then(
      (response) => {
        if (deadlines.delete(invocation)) isolate.end(via);
        // Too late: nobody reads it.
        else void response.body?.cancel();
        resolve(response);
      },
      (error: unknown) => {
        if (deadlines.delete(invocation)) isolate.end(via);
        onFailure(isolate, error);
        reject(error as Error);
      },
    );
  });
}

function tooSlow(wallMs: number): LimitError {
  return new LimitError(
    "exceededWallTime",
    `Worker exceeded wall time limit: no response head within ${wallMs} ms.`,
  );
}
