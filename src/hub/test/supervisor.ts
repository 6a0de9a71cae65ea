/**
 * Stands in for the supervisor, which is a Node process: takes the hub's calls and remembers them. A test
 * reads them at `GET /calls`, and lets calls of a path fail with `POST /fail?path=&times=`.
 */
import type { ProcessCounters, TrialLoss } from "../../protocol/hub.ts";
import type { CellAssignment } from "../../protocol/incident.ts";
import type { ObjectList } from "../../protocol/objects.ts";
import type { WorkflowAnswer, WorkflowRequest } from "../../protocol/workflows.ts";

export interface Call {
  readonly path: string;
  readonly body: unknown;
}

const calls: Call[] = [];
const failures = new Map<string, number>();

const PROCESSES: ProcessCounters = {
  edges: 2,
  cells: { probation: 2, dedicated: 1, spare: 2 },
  incidents: { "cell:cpu": 3, "edge:memory": 1 },
};
const TRIAL_LOSS: TrialLoss = { kind: null };
const ASSIGNMENT: CellAssignment = { index: 2, life: 7 };

/** Each class has twelve objects. */
function objectsAfter(query: URLSearchParams): ObjectList {
  const all = Array.from({ length: 12 }, (_, index) => index.toString(16).padStart(64, "0"));
  const after = all.filter((id) => id > (query.get("after") ?? ""));
  const limit = Number(query.get("limit"));
  return { ids: after.slice(0, limit), isTruncated: after.length > limit };
}

/** Each Workflow has one instance. */
function answerOf({ call }: WorkflowRequest): WorkflowAnswer {
  const createdOn = new Date(0).toISOString();
  if (call.type === "list") {
    return { ok: true, value: [{ id: "one", status: "waiting", createdOn }], total: 1 };
  }
  if (call.type !== "describe") return { ok: true, value: null };
  if (call.id !== "one") return { ok: false, error: "instance.not_found" };
  const config = { retries: { limit: 1, delay: 1 }, timeout: 1 };
  const events = [
    { type: "workflow_queued", timestamp: 0 },
    { type: "workflow_started", timestamp: 1, params: { a: 1 } },
    { type: "step_started", timestamp: 2, stepName: "first-1", config },
    { type: "attempt_started", timestamp: 2, stepName: "first-1", attempt: 1 },
    { type: "attempt_completed", timestamp: 3, stepName: "first-1", attempt: 1 },
    { type: "step_completed", timestamp: 3, stepName: "first-1", output: "done" },
    { type: "wait_started", timestamp: 4, stepName: "asked-1", eventType: "answer" },
  ];
  return { ok: true, value: { status: "waiting", output: null, events, isTruncated: false } };
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/calls") return Response.json(calls.splice(0));
    if (pathname === "/fail") {
      failures.set(searchParams.get("path") ?? "", Number(searchParams.get("times")));
      return new Response();
    }
    if (pathname === "/processes") return Response.json(PROCESSES);
    if (pathname === "/objects" && request.method === "GET") {
      return Response.json(objectsAfter(searchParams));
    }
    if (pathname === "/cpu") return new Response("no clock", { status: 404 });
    const left = failures.get(pathname) ?? 0;
    if (left > 0) {
      failures.set(pathname, left - 1);
      return new Response("told to fail", { status: 500 });
    }
    const text = await request.text();
    const path = request.method === "DELETE" ? `${pathname}?${searchParams.toString()}` : pathname;
    calls.push({ path, body: text === "" ? null : (JSON.parse(text) as unknown) });
    if (pathname === "/cells/assign") return Response.json(ASSIGNMENT);
    if (pathname === "/workflows")
      return Response.json(answerOf(JSON.parse(text) as WorkflowRequest));
    if (pathname === "/trial/replace") return Response.json(TRIAL_LOSS);
    return new Response(null, { status: 204 });
  },
} satisfies ExportedHandler;
