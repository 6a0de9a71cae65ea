/**
 * `/accounts/{account}/workflows`. A Workflow comes with the deploy of a Worker that is bound to it; wrangler then puts what
 * is set of it.
 */
import * as z from "zod";
import type { WorkflowSettings } from "../../protocol/workflows.ts";
import type { WorkflowRecord } from "../../registry/workflows.ts";
import { mayTouch } from "../auth.ts";
import { accountId, param, registry, settle, type ApiContext } from "../context.ts";
import { ok, page, pageOf, partOf } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { unwrap } from "../failures.ts";
import { failure } from "../../registry/result.ts";
import { jsonBody } from "../json-body.ts";
import { iso } from "../user.ts";

const PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;
const MAX_STEPS = 25_000;

const duration = z.union([
  z.number().int().positive(),
  z
    .string()
    .regex(
      /^\s*\d+(\.\d+)?\s*(millisecond|second|minute|hour|day|week|month|year)s?\s*$/,
      "is no duration, such as '3 days'",
    ),
]);
const lacks = (why: string) => z.undefined(`is not supported by this platform: ${why}`).optional();

export const setting = z.object({
  script_name: z.string(),
  class_name: z.string(),
  limits: z.object({ steps: z.number().int().min(1).max(MAX_STEPS).optional() }).nullish(),
  default_retention: z
    .object({ success_retention: duration.optional(), error_retention: duration.optional() })
    .nullish(),
  concurrency: lacks("all instances of a Workflow may run at once"),
  schedules: lacks("let a Cron Trigger's scheduled() create the instances"),
  jurisdiction: lacks("all instances are on this platform"),
});

export async function listWorkflows(c: ApiContext): Promise<Response> {
  const part = partOf(c, PAGE_SIZE, MAX_PAGE_SIZE);
  const { number, size } = part;
  const all = (await registry(c).workflows(accountId(c))).filter(({ namespace }) =>
    mayTouch(c, namespace),
  );
  const items = all.slice((number - 1) * size, number * size);
  return pageOf(c, part, items.map(toJson), all.length);
}

export async function getWorkflow(c: ApiContext): Promise<Response> {
  return ok(c, toJson(await requireWorkflow(c)));
}

/** There is one version of each: that of the Worker. */
export async function listVersions(c: ApiContext): Promise<Response> {
  const { id, versionId, className, createdOn, modifiedOn, settings } = await requireWorkflow(c);
  const version = {
    id: versionId,
    workflow_id: id,
    class_name: className,
    created_on: iso(createdOn),
    modified_on: iso(modifiedOn),
    ...(settings.steps !== undefined && { limits: { steps: settings.steps } }),
  };
  return page(c, [version]);
}

export async function putWorkflow(c: ApiContext): Promise<Response> {
  const given = await jsonBody(c, setting);
  const name = param(c, "workflow");
  const found = await registry(c).workflow(accountId(c), name);
  const { script_name: script, class_name: className } = given;
  if (found === null || !mayTouch(c, found.namespace)) {
    throw new ApiError(
      "workflowNotFound",
      `There is no Workflow '${name}': it is made by the deploy of '${script}' with a binding to it, of its class '${className}'.`,
    );
  }
  if (found.script !== script || found.className !== className) {
    throw new ApiError(
      "workflowExists",
      `The Workflow '${name}' is the class '${found.className}' of the Worker '${found.script}': deploy that with another class, or delete the Workflow first.`,
    );
  }
  const { value, generation } = unwrap(
    await registry(c).setWorkflow(accountId(c), found.id, settingsOf(given)),
  );
  await settle(c, generation);
  return ok(c, toJson(value));
}

/** With all its instances. */
export async function deleteWorkflow(c: ApiContext): Promise<Response> {
  const { id } = await requireWorkflow(c);
  const { generation } = unwrap(await registry(c).deleteWorkflow(accountId(c), id));
  await settle(c, generation);
  return ok(c, { status: "ok", success: true });
}

/** The `:workflow` of the path, if the token may see it. */
export async function requireWorkflow(c: ApiContext): Promise<WorkflowRecord> {
  const workflow = param(c, "workflow");
  const found = await registry(c).workflow(accountId(c), workflow);
  if (found !== null && mayTouch(c, found.namespace)) return found;
  return unwrap<WorkflowRecord>(failure({ reason: "unknown-workflow", workflow }));
}

function settingsOf({ limits, default_retention: retention }: z.output<typeof setting>) {
  const { success_retention: success, error_retention: error } = retention ?? {};
  const settings: WorkflowSettings = {
    ...(limits?.steps !== undefined && { steps: limits.steps }),
    ...(retention && {
      retention: {
        ...(success !== undefined && { success }),
        ...(error !== undefined && { error }),
      },
    }),
  };
  return settings;
}

/** `dispatch_namespace` is ours. */
function toJson(found: WorkflowRecord) {
  const { id, name, script, className, createdOn, modifiedOn, namespace, kind } = found;
  return {
    id,
    name,
    script_name: script,
    class_name: className,
    created_on: iso(createdOn),
    modified_on: iso(modifiedOn),
    ...(kind === "dispatch" && { dispatch_namespace: namespace }),
  };
}
