/** Entries of operations.ts for Workflows (`routeWorkflows`). */
import * as z from "zod";
import { change, creation, creations, deletion } from "../workflows/instances.ts";
import { setting } from "../workflows/workflows.ts";
import type { Operation } from "./operations.ts";

const workflow = z.strictObject({
  id: z.string(),
  name: z.string(),
  script_name: z.string(),
  class_name: z.string(),
  created_on: z.string(),
  modified_on: z.string(),
  dispatch_namespace: z.string().optional(),
});
const version = z.strictObject({
  id: z.string(),
  workflow_id: z.string(),
  class_name: z.string(),
  created_on: z.string(),
  modified_on: z.string(),
  limits: z.strictObject({ steps: z.number() }).optional(),
});
const created = z.strictObject({
  id: z.string(),
  status: z.string(),
  version_id: z.string(),
  workflow_id: z.string(),
});
const listed = created.extend({ created_on: z.string() });
const failure = z.strictObject({ name: z.string(), message: z.string() });
const detail = z.strictObject({
  status: z.string(),
  params: z.unknown(),
  queued: z.string().nullable(),
  start: z.string().nullable(),
  end: z.string().nullable(),
  success: z.boolean().nullable(),
  output: z.unknown(),
  error: failure.nullable(),
  trigger: z.strictObject({ source: z.string() }),
  versionId: z.string(),
  step_count: z.number(),
  steps: z.array(z.record(z.string(), z.unknown())),
});
const deleted = z.strictObject({
  deleted: z.array(z.strictObject({ id: z.string() })),
  errors: z.array(z.strictObject({ id: z.string(), code: z.number(), message: z.string() })),
});

export function ofWorkflows(account: string): Record<string, Operation> {
  const all = `${account}/workflows`;
  const one = `${all}/:workflow`;
  const instances = `${one}/instances`;
  const instance = `${instances}/:instance`;
  return {
    [`GET ${all}`]: { does: "Workflows", result: workflow, list: true },
    [`GET ${one}`]: { does: "A Workflow, by name or id", result: workflow },
    [`PUT ${one}`]: { does: "Sets its limits and retention", body: setting, result: workflow },
    [`DELETE ${one}`]: {
      does: "Deletes it with all instances",
      result: z.strictObject({ status: z.string(), success: z.boolean() }),
    },
    [`GET ${one}/versions`]: { does: "Its one version", result: version, list: true },
    [`GET ${instances}`]: {
      does: "Its instances, the newest first",
      query: {
        status: "Of this status",
        date_start: "Created since",
        date_end: "Created until",
        cursor: "From the list before",
      },
      result: listed,
      list: true,
    },
    [`POST ${instances}`]: { does: "Creates an instance", body: creation, result: created },
    [`POST ${instances}/batch`]: {
      does: "Creates up to 100",
      body: creations,
      result: z.array(created),
    },
    [`POST ${instances}/batch/delete`]: {
      does: "Deletes up to 100",
      body: deletion,
      result: deleted,
    },
    [`PUT ${instances}/terminate`]: {
      does: "Terminates those that have not ended",
      query: { status: "Of this status" },
      result: z.strictObject({ status: z.string(), instancesTerminated: z.number() }),
    },
    [`GET ${instance}`]: { does: "An instance with its steps", result: detail },
    [`PATCH ${instance}/status`]: {
      does: "Pauses, resumes, restarts or terminates it",
      body: change,
      result: z.strictObject({ status: z.string(), timestamp: z.string() }),
    },
    [`POST ${instance}/events/:event`]: {
      does: "Sends it an event, with the JSON body as its payload",
      body: z.unknown(),
      result: z.strictObject({}),
    },
  };
}
