/** `/accounts/{account}/workers/dispatch/namespaces` */
import * as z from "zod";
import type { OutboundWorker } from "../protocol/outbound.ts";
import { ISOLATIONS } from "../protocol/placement.ts";
import type { NamespaceRecord } from "../registry/records.ts";
import { renewCertificate } from "../registry/supervisor.ts";
import { mayTouch, refuseOtherNamespace } from "./auth.ts";
import { accountId, namespaceOf, param, registry, settle, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { forgetMetrics, forgetNamespace } from "./forget-metrics.ts";
import { jsonBody } from "./json-body.ts";
import { MAX_TAIL_CONSUMERS } from "./upload/observability.ts";
import { iso } from "./user.ts";

/** A namespace is a label of host names: `<script>.<namespace>.<base domain>` (RFC 1035 section 2.3.4). */
const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;

export const creation = z.object({ name: z.string() });
/** As of a binding's name, since it is one in the outbound Worker's env. */
const PARAMETER = /^[A-Za-z_$][\w$]*$/;
const MAX_PARAMETERS = 20;

const outboundChange = z.object({
  script: z.string().regex(/^[^/]+\/[^/]+$/, "expected NAMESPACE/SCRIPT"),
  parameters: z
    .array(z.string().regex(PARAMETER, "expected the name of a variable"))
    .max(MAX_PARAMETERS)
    .default([]),
});

export const change = z.object({
  name: z.string().optional(),
  trusted_workers: z.boolean().optional(),
  /** Ours. null: the platform's. */
  isolation: z.enum(ISOLATIONS).nullable().optional(),
  /** Ours. null: none. */
  outbound: outboundChange.nullable().optional(),
  /** Ours: Tail Workers of all functions, as NAMESPACE/SCRIPT. */
  tail_consumers: z
    .array(z.string().regex(/^[^/]+\/[^/]+$/, "expected NAMESPACE/SCRIPT"))
    .max(MAX_TAIL_CONSUMERS)
    .optional(),
});

export async function listNamespaces(c: ApiContext): Promise<Response> {
  const all = await registry(c).namespaces(accountId(c));
  const found = all.filter(({ name }) => mayTouch(c, name));
  return page(c, found.map(toJson));
}

export async function createNamespace(c: ApiContext): Promise<Response> {
  const { name } = await jsonBody(c, creation);
  refuseBadName(name);
  const created = unwrap(await registry(c).createNamespace(accountId(c), name, c.var.token.id));
  await updateCertificate(c);
  return ok(c, toJson(created));
}

export async function getNamespace(c: ApiContext): Promise<Response> {
  return ok(c, toJson(await namespaceOf(c)));
}

/** PUT and PATCH alike: what is absent stays. wrangler renames with PUT `{name}`. */
export async function updateNamespace(c: ApiContext): Promise<Response> {
  const body = await jsonBody(c, change);
  const { name, trusted_workers: trustedWorkers, isolation } = body;
  const outbound = body.outbound && toOutboundWorker(c, body.outbound);
  const tailConsumers = body.tail_consumers?.map((path) => toConsumer(c, path));
  if (name !== undefined) refuseBadName(name);
  const current = param(c, "namespace");
  const updated = unwrap(
    await registry(c).updateNamespace(
      accountId(c),
      current,
      { name, trustedWorkers, isolation, outbound, tailConsumers },
      c.var.token.id,
    ),
  );
  await settle(c, updated.generation);
  if (name !== undefined && name !== current) await updateCertificate(c);
  return ok(c, toJson(updated.value));
}

export async function deleteNamespace(c: ApiContext): Promise<Response> {
  const { id, name } = await namespaceOf(c);
  const scripts = (await registry(c).scripts(id)).map((script) => script.name);
  const deleted = unwrap(await registry(c).deleteNamespace(accountId(c), name));
  forgetMetrics(c, id, scripts);
  forgetNamespace(c, id);
  await settle(c, deleted.generation);
  await updateCertificate(c);
  return ok(c, null);
}

/** A failure is logged only: the change is stored, and HTTP works without the new names. */
export async function updateCertificate(c: ApiContext): Promise<void> {
  const renewed = await renewCertificate(c.env.SUPERVISOR);
  if (!renewed.ok) console.error(`certificate not renewed: ${renewed.failure}`);
}

/** It is called with the bindings that it has, so the token must be for its namespace too. */
function toOutboundWorker(
  c: ApiContext,
  { script: path, parameters }: z.infer<typeof outboundChange>,
): OutboundWorker {
  const [namespace = "", script = ""] = path.split("/");
  refuseOtherNamespace(c, namespace);
  return { namespace, script, parameters: [...new Set(parameters)] };
}

/** It sees what the functions log, and is called with the bindings that it has. */
function toConsumer(c: ApiContext, path: string) {
  const [namespace = "", script = ""] = path.split("/");
  refuseOtherNamespace(c, namespace);
  return { namespace, script };
}

function refuseBadName(name: string): void {
  if (NAME.test(name)) return;
  throw new ApiError(
    "badNamespaceName",
    `'${name}' cannot name a dispatch namespace, since it is part of host names: use 1 to 63 of a-z, 0-9, - and _, with a letter or digit first and last.`,
  );
}

function toJson(namespace: NamespaceRecord) {
  return {
    namespace_id: namespace.id,
    namespace_name: namespace.name,
    created_on: iso(namespace.createdOn),
    created_by: namespace.createdBy,
    modified_on: iso(namespace.modifiedOn),
    modified_by: namespace.modifiedBy,
    script_count: namespace.scriptCount,
    trusted_workers: namespace.trustedWorkers,
    isolation: namespace.isolation,
    outbound: outboundJson(namespace.outbound),
    tail_consumers: namespace.tailConsumers.map(
      ({ namespace: name, script }) => `${name}/${script}`,
    ),
  };
}

function outboundJson(outbound: OutboundWorker | null) {
  if (outbound === null) return null;
  const { namespace, script, parameters } = outbound;
  return { script: `${namespace}/${script}`, parameters };
}
