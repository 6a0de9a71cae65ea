/** `…/workflows/{workflow}/instances`. They are in the stateful cell of the Worker, which is started if need be. */
import * as z from "zod";
import {
  INSTANCE_CHANGES,
  type DescribedInstance,
  type ListedInstance,
  type NewInstance,
  type WorkflowAnswer,
  type WorkflowCall,
} from "../../protocol/workflows.ts";
import { askWorkflow } from "../../registry/supervisor.ts";
import type { WorkflowRecord } from "../../registry/workflows.ts";
import { CODES } from "../codes.ts";
import { param, type ApiContext } from "../context.ts";
import { ok, partOf } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { jsonBody, MAX_JSON_BYTES, parseJson } from "../json-body.ts";
import { readBody } from "../upload/form.ts";
import { stepsOf, timesOf } from "./steps.ts";
import { requireWorkflow } from "./workflows.ts";

const PAGE_SIZE = 50;
/** Each is read from its database. With a filter, so many are looked at. */
const MAX_PAGE_SIZE = 1_000;
const MAX_BATCH = 100;

const STATUSES: readonly string[] = [
  "queued",
  "running",
  "paused",
  "errored",
  "terminated",
  "complete",
  "waitingForPause",
  "waiting",
  "rollingBack",
];
const LIVE: readonly string[] = ["queued", "running", "paused", "waitingForPause", "waiting"];

const retention = z.union([z.string(), z.number()]);
export const creation = z.object({
  instance_id: z.string().nullish(),
  params: z.unknown().optional(),
  instance_retention: z
    .object({ success_retention: retention.optional(), error_retention: retention.optional() })
    .nullish(),
});
export const creations = z.array(creation).min(1).max(MAX_BATCH);
export const change = z.object({
  status: z.enum(INSTANCE_CHANGES),
  from: z
    .object({ name: z.string(), count: z.number().optional(), type: z.string().optional() })
    .optional(),
  rollback: z.boolean().optional(),
});
export const deletion = z.object({ instances: z.array(z.string()).min(1).max(MAX_BATCH) });

/** The newest first. `?status=`, `?date_start=`, `?date_end=` look at the newest 1,000. */
export async function listInstances(c: ApiContext): Promise<Response> {
  const workflow = await requireWorkflow(c);
  const { size, number } = partOf(c, PAGE_SIZE, MAX_PAGE_SIZE);
  const fits = filterOf(c);
  const cursor = c.req.query("cursor");
  const from = cursor === undefined ? (number - 1) * size : Number(cursor);
  if (!Number.isInteger(from) || from < 0) {
    throw new ApiError("invalid", "cursor: this is none that a list of instances has given.");
  }
  const call: WorkflowCall =
    fits === undefined
      ? { type: "list", offset: from, limit: size }
      : { type: "list", offset: 0, limit: MAX_PAGE_SIZE };
  const answer = await ask(c, workflow, call);
  const all = answer.value as ListedInstance[];
  const items = fits === undefined ? all : all.filter(fits).slice(from, from + size);
  const total = fits === undefined ? (answer.total ?? 0) : all.filter(fits).length;
  const next = from + size < total ? String(from + size) : undefined;
  return c.json({
    success: true,
    errors: [],
    messages: [],
    result: items.map(({ id, status, createdOn }) => ({
      id,
      status,
      created_on: createdOn,
      version_id: workflow.versionId,
      workflow_id: workflow.id,
    })),
    result_info: {
      count: items.length,
      per_page: size,
      total_count: total,
      ...(next !== undefined && { cursor: next }),
    },
  });
}

export async function createInstance(c: ApiContext): Promise<Response> {
  const workflow = await requireWorkflow(c);
  const instance = toInstance(await jsonBody(c, creation));
  const [created] = await create(c, workflow, [instance]);
  if (created !== undefined) return ok(c, created);
  throw new ApiError(
    "instanceExists",
    `instance.already_exists: Workflow instance with id '${instance.id ?? ""}' already exists`,
  );
}

/** Those whose ids are taken are left out. */
export async function createInstances(c: ApiContext): Promise<Response> {
  const workflow = await requireWorkflow(c);
  const instances = (await jsonBody(c, creations)).map(toInstance);
  return ok(c, await create(c, workflow, instances));
}

export async function getInstance(c: ApiContext): Promise<Response> {
  const workflow = await requireWorkflow(c);
  const call: WorkflowCall = { type: "describe", id: param(c, "instance") };
  const { value } = await ask(c, workflow, call);
  const { status, output, error, events } = value as DescribedInstance;
  const steps = stepsOf(events, status);
  return ok(c, {
    status,
    ...timesOf(events),
    success: status === "complete" ? true : status === "errored" ? false : null,
    output,
    error: error ?? null,
    trigger: { source: "unknown" },
    versionId: workflow.versionId,
    step_count: steps.length,
    steps,
  });
}

export async function changeInstance(c: ApiContext): Promise<Response> {
  const workflow = await requireWorkflow(c);
  const { status: to, from, rollback } = await jsonBody(c, change);
  const id = param(c, "instance");
  const start = from && {
    name: from.name,
    ...(from.count !== undefined && { count: from.count }),
    ...(from.type !== undefined && { type: from.type }),
  };
  await ask(c, workflow, {
    type: "change",
    id,
    to,
    ...(start && { from: start }),
    ...(rollback !== undefined && { rollback }),
  });
  const { value } = await ask(c, workflow, { type: "describe", id });
  const { status } = value as DescribedInstance;
  return ok(c, { status, timestamp: new Date().toISOString() });
}

export async function sendEvent(c: ApiContext): Promise<Response> {
  const workflow = await requireWorkflow(c);
  const text = new TextDecoder().decode(await readBody(c.req.raw, MAX_JSON_BYTES));
  const payload = text === "" ? undefined : parseJson(text, "the payload");
  const event = { type: param(c, "event"), payload };
  await ask(c, workflow, { type: "send", id: param(c, "instance"), event });
  return ok(c, {});
}

export async function deleteInstances(c: ApiContext): Promise<Response> {
  const workflow = await requireWorkflow(c);
  const { instances: ids } = await jsonBody(c, deletion);
  const { value } = await ask(c, workflow, { type: "delete", ids });
  return ok(c, value);
}

/** All that have not ended, of the newest 1,000. */
export async function terminateInstances(c: ApiContext): Promise<Response> {
  const workflow = await requireWorkflow(c);
  const fits = filterOf(c);
  const { value } = await ask(c, workflow, { type: "list", offset: 0, limit: MAX_PAGE_SIZE });
  const listed = (value as ListedInstance[]).filter(
    (one) => LIVE.includes(one.status) && (fits?.(one) ?? true),
  );
  for (const { id } of listed) {
    await ask(c, workflow, { type: "change", id, to: "terminate" }).catch((error: unknown) => {
      // It has ended by itself meanwhile.
      if (!(error instanceof ApiError) || error.code !== CODES.badInstance.code) throw error;
    });
  }
  return ok(c, { status: "ok", instancesTerminated: listed.length });
}

async function create(c: ApiContext, workflow: WorkflowRecord, instances: readonly NewInstance[]) {
  const { value } = await ask(c, workflow, { type: "create", instances });
  const { created } = value as { readonly created: readonly { readonly id: string }[] };
  return created.map(({ id }) => ({
    id,
    status: "queued",
    version_id: workflow.versionId,
    workflow_id: workflow.id,
  }));
}

function toInstance({ instance_id, params, instance_retention }: z.output<typeof creation>) {
  const { success_retention: success, error_retention: error } = instance_retention ?? {};
  const instance: NewInstance = {
    ...(instance_id != null && { id: instance_id }),
    ...(params !== undefined && { params }),
    ...(instance_retention && {
      retention: {
        ...(success !== undefined && { successRetention: success }),
        ...(error !== undefined && { errorRetention: error }),
      },
    }),
  };
  return instance;
}

function filterOf(c: ApiContext): ((instance: ListedInstance) => boolean) | undefined {
  const status = c.req.query("status");
  if (status !== undefined && !STATUSES.includes(status)) {
    throw new ApiError(
      "invalid",
      `status is '${status}', expected one of: ${STATUSES.join(", ")}.`,
    );
  }
  const start = dateOf(c, "date_start", -Infinity);
  const end = dateOf(c, "date_end", Infinity);
  if (status === undefined && start === -Infinity && end === Infinity) return undefined;
  return (instance) => {
    const createdMs = Date.parse(instance.createdOn);
    const isOf = status === undefined || instance.status === status;
    return isOf && createdMs >= start && createdMs <= end;
  };
}

function dateOf(c: ApiContext, name: string, absent: number): number {
  const text = c.req.query(name);
  if (text === undefined) return absent;
  const ms = Date.parse(text);
  if (Number.isFinite(ms)) return ms;
  throw new ApiError("invalid", `${name} is '${text}', expected a date such as 2026-01-31.`);
}

async function ask(
  c: ApiContext,
  { scriptId, name: workflow }: WorkflowRecord,
  call: WorkflowCall,
): Promise<Extract<WorkflowAnswer, { ok: true }>> {
  const asked = await askWorkflow(c.env.SUPERVISOR, { scriptId, workflow, call });
  if (!asked.ok) {
    const message = `The Workflow '${workflow}' cannot be asked now: ${asked.failure}`;
    throw new ApiError("unavailable", message);
  }
  const answer = asked.value;
  if (answer.ok) return answer;
  if (answer.error.includes("instance.not_found")) {
    throw new ApiError("instanceNotFound", `instance.not_found: ${answer.error}`);
  }
  throw new ApiError("badInstance", answer.error);
}
