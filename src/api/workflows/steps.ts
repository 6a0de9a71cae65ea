/** The steps of an instance, and when it began and ended, out of the history that the engine tells. */
import type { InstanceEvent } from "../../protocol/workflows.ts";

interface Attempt {
  readonly start: string;
  end: string | null;
  success: boolean | null;
  error: unknown;
}

interface Step {
  readonly name: string;
  readonly type: "step" | "sleep" | "waitForEvent" | "rollback";
  readonly start: string;
  end: string | null;
  success?: boolean | null;
  output?: unknown;
  error?: unknown;
  finished?: boolean;
  config?: unknown;
  attempts?: Attempt[];
}

export function timesOf(events: readonly InstanceEvent[]) {
  const when = (type: string) => timeOf(events.findLast((event) => event.type === type));
  const params = events.find(({ type }) => type === "workflow_started")?.["params"];
  return {
    params: params ?? null,
    queued: when("workflow_queued"),
    start: when("workflow_started"),
    end: timeOf(events.findLast(({ type }) => ENDS.includes(type))),
  };
}

const ENDS: readonly string[] = ["workflow_completed", "workflow_errored", "workflow_terminated"];

export function stepsOf(events: readonly InstanceEvent[], status: string): unknown[] {
  const steps = new Map<string, Step>();
  for (const event of events) take(steps, event);
  const ended =
    status === "terminated" ? [{ type: "termination", trigger: { source: "api" } }] : [];
  return [...steps.values(), ...ended];
}

function take(steps: Map<string, Step>, event: InstanceEvent): void {
  const { stepName: name } = event;
  if (name === undefined) return;
  const at = timeOf(event) as string;
  const isUndone = event.type.startsWith("rollback_");
  const type = isUndone ? event.type.slice("rollback_".length) : event.type;
  const [what, how] = [type.slice(0, type.indexOf("_")), type.slice(type.indexOf("_") + 1)];
  const key = `${KEYS[what] ?? what}:${String(isUndone)}:${name}`;
  if (how === "started" && what !== "attempt") {
    steps.set(key, begun(name, what, isUndone, at, event));
    return;
  }
  const step = steps.get(key);
  if (step === undefined) return;
  const isOk = how === "completed";
  if (what === "attempt") {
    const { attempts = [] } = step;
    if (how === "started") attempts.push({ start: at, end: null, success: null, error: null });
    else
      Object.assign(attempts.at(-1) ?? {}, {
        end: at,
        success: isOk,
        error: event["error"] ?? null,
      });
    return;
  }
  step.end = at;
  if (what === "step") {
    step.success = isOk;
    step.output = event["output"] ?? null;
    return;
  }
  step.finished = true;
  if (how === "timed_out") {
    step.error = { name: "WorkflowTimeoutError", message: "Execution timed out" };
  }
}

/** An attempt is part of its step. */
const KEYS: Readonly<Record<string, string>> = { attempt: "step" };

function begun(
  name: string,
  what: string,
  isUndone: boolean,
  start: string,
  event: InstanceEvent,
): Step {
  const common = { name, start, end: null };
  switch (what) {
    case "sleep":
      return { ...common, type: "sleep", finished: false, error: null };
    case "wait": {
      const more = { event_type: event["eventType"] };
      return { ...common, type: "waitForEvent", finished: false, error: null, ...more };
    }
    default: {
      const type = isUndone ? "rollback" : "step";
      const { config } = event;
      return { ...common, type, success: null, output: null, config, attempts: [] };
    }
  }
}

function timeOf(event: InstanceEvent | undefined): string | null {
  return event === undefined ? null : new Date(event.timestamp).toISOString();
}
