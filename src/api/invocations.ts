/**
 * `…/scripts/{script}/invocations`. Ours: calls of a function's `fetch` handler by the API, with the response as the answer
 * (`Invocation-Type: RequestResponse`), or stored first, and tried until it succeeds or is given up (`Event`).
 */
import * as z from "zod";
import {
  DEFAULT_INVOCATION_SETTINGS,
  INVOCATION_STATES,
  MAX_PAYLOAD_BYTES,
  MAX_RETRY_DELAY_SECONDS,
  type Destination,
  type InvocationDetail,
  type InvocationRecord,
  type InvocationSettings,
  type InvocationType,
  type PayloadSource,
} from "../protocol/invocations.ts";
import type { NamespaceRecord, ScriptRecord } from "../registry/records.ts";
import { namespaceOf, param, registry, scriptOf, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { limitOf } from "./list-limit.ts";
import { findReachable, settleStore } from "./resources.ts";
import { askStore } from "./script-store.ts";
import { readAnyBody } from "./upload/form.ts";
import { iso } from "./user.ts";

const TYPES = ["RequestResponse", "Event", "DryRun"] as const;

const MAX_KEY_CHARACTERS = 255;
const MAX_URL_CHARACTERS = 2048;

const destination = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("queue"), queue: z.string() }),
    z.strictObject({ type: z.literal("function"), script: z.string() }),
    z.strictObject({
      type: z.literal("url"),
      url: z.url({ protocol: /^https?$/ }).max(MAX_URL_CHARACTERS),
    }),
  ])
  .nullable();

const usual = DEFAULT_INVOCATION_SETTINGS;

export const config = z.strictObject({
  max_attempts: z.int().min(1).max(20).default(usual.maxAttempts),
  retry_delay_seconds: z.int().min(1).max(MAX_RETRY_DELAY_SECONDS).default(usual.retryDelaySeconds),
  max_age_seconds: z.int().min(1).max(604_800).default(usual.maxAgeSeconds),
  on_success: destination.default(null),
  on_failure: destination.default(null),
});

export async function invoke(c: ApiContext): Promise<Response> {
  const type = typeOf(c);
  const idempotencyKey = keyOf(c);
  const namespace = await namespaceOf(c);
  const payload = await payloadOf(c, namespace);
  const script = await scriptOf(c);
  refuseWithoutHandler(script);
  if (type === "DryRun") {
    return ok(c, { type, script: script.name, version_id: script.version.id });
  }
  // The store has to know the script before its first invocation.
  if ((await registry(c).scriptEvents(script.id)).invocations === null) {
    unwrap(await registry(c).introduceInvocations(namespace.id, script.name));
  }
  await settleStore(c);
  const contentType = c.req.header("content-type") ?? null;
  const wanted = { type, idempotencyKey, contentType, payload };
  const answer = ok(c, detailToJson(await askStore(c, script.id).invoke(wanted)));
  return type === "Event" ? new Response(answer.body, { ...answer, status: 202 }) : answer;
}

export async function listInvocations(c: ApiContext): Promise<Response> {
  const { id } = await scriptOf(c);
  const { status, before } = c.req.query();
  if (status !== undefined && !(INVOCATION_STATES as readonly string[]).includes(status)) {
    throw new ApiError(
      "invalid",
      `status is '${status}', expected one of ${INVOCATION_STATES.join(", ")}`,
    );
  }
  const limit = limitOf(c, 50, 1_000);
  const query = new URLSearchParams({ limit: String(limit) });
  if (status !== undefined) query.set("state", status);
  if (before !== undefined) query.set("before", before);
  const isKnown = (await registry(c).scriptEvents(id)).invocations !== null;
  const found = isKnown ? await askStore(c, id).invocations(query) : [];
  const next = found.length === limit ? (found.at(-1)?.id ?? null) : null;
  return ok(c, { invocations: found.map(toJson), before: next });
}

export async function getInvocation(c: ApiContext): Promise<Response> {
  const { id } = await scriptOf(c);
  const wanted = param(c, "invocation");
  const isKnown = (await registry(c).scriptEvents(id)).invocations !== null;
  const found = isKnown ? await askStore(c, id).invocation(wanted) : null;
  if (found !== null) return ok(c, detailToJson(found));
  throw new ApiError(
    "invocationNotFound",
    `'${param(c, "script")}' has no invocation '${wanted}'; old ones are forgotten.`,
  );
}

export async function getConfig(c: ApiContext): Promise<Response> {
  const { id } = await scriptOf(c);
  const { invocations } = await registry(c).scriptEvents(id);
  return ok(c, configToJson(invocations ?? DEFAULT_INVOCATION_SETTINGS));
}

/** What is left out gets its default. */
export async function putConfig(c: ApiContext): Promise<Response> {
  const wanted = await jsonBody(c, config);
  const namespace = await namespaceOf(c);
  const { name } = await scriptOf(c);
  const settings: InvocationSettings = {
    maxAttempts: wanted.max_attempts,
    retryDelaySeconds: wanted.retry_delay_seconds,
    maxAgeSeconds: wanted.max_age_seconds,
    onSuccess: await resolved(c, namespace, "on_success", wanted.on_success),
    onFailure: await resolved(c, namespace, "on_failure", wanted.on_failure),
  };
  unwrap(await registry(c).setInvocations(namespace.id, name, settings));
  await settleStore(c);
  return ok(c, configToJson(settings));
}

async function resolved(
  c: ApiContext,
  namespace: NamespaceRecord,
  name: string,
  wanted: z.output<typeof destination>,
): Promise<Destination | null> {
  if (wanted === null || wanted.type === "url") return wanted;
  if (wanted.type === "function") {
    unwrap(await registry(c).script(namespace.id, wanted.script));
    return wanted;
  }
  const found = await findReachable(c, namespace, "queue", { name: wanted.queue }, name);
  return { type: "queue", id: found.id, name: found.name };
}

function typeOf(c: ApiContext): InvocationType | "DryRun" {
  const text = c.req.header("invocation-type") ?? "RequestResponse";
  const type = TYPES.find((known) => known === text);
  if (type !== undefined) return type;
  throw new ApiError("invalid", `Invocation-Type is '${text}', expected ${TYPES.join(", ")}`);
}

function keyOf(c: ApiContext): string | null {
  const key = c.req.header("idempotency-key") ?? null;
  if (key === null || (key.length > 0 && key.length <= MAX_KEY_CHARACTERS)) return key;
  throw new ApiError(
    "invalid",
    `Idempotency-Key has ${key.length} characters, expected 1 to ${MAX_KEY_CHARACTERS}`,
  );
}

/** The body, or with `Invocation-Payload: r2://bucket/key` an object. */
async function payloadOf(c: ApiContext, namespace: NamespaceRecord): Promise<PayloadSource> {
  const body = await readAnyBody(c.req.raw, MAX_PAYLOAD_BYTES);
  const reference = c.req.header("invocation-payload");
  if (reference === undefined) return { bytes: body.toBase64() };
  const [, bucket, key] = /^r2:\/\/([^/]+)\/(.+)$/.exec(reference) ?? [];
  if (bucket === undefined || key === undefined || body.byteLength > 0) {
    throw new ApiError(
      "invalid",
      `Invocation-Payload is '${reference}', expected r2://bucket/key (the key as in a URL), and no body`,
    );
  }
  const what = `the header Invocation-Payload: ${reference}`;
  const { id } = await findReachable(c, namespace, "r2", { name: bucket }, what);
  return { r2: { id, bucket, key: decoded(key) } };
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    throw new ApiError("invalid", `Invocation-Payload: '${key}' is not encoded as in a URL`);
  }
}

function refuseWithoutHandler({ name, version }: ScriptRecord): void {
  if (version.code.handlers.includes("fetch")) return;
  throw new ApiError(
    "invalid",
    `'${name}' exports no fetch() handler, which is what an invocation calls: deploy a version that does.`,
  );
}

function configToJson(settings: InvocationSettings) {
  return {
    max_attempts: settings.maxAttempts,
    retry_delay_seconds: settings.retryDelaySeconds,
    max_age_seconds: settings.maxAgeSeconds,
    on_success: destinationToJson(settings.onSuccess),
    on_failure: destinationToJson(settings.onFailure),
  };
}

function destinationToJson(to: Destination | null) {
  return to?.type === "queue" ? { type: to.type, queue: to.name } : to;
}

function toJson(record: InvocationRecord) {
  const time = (ms: number | null) => (ms === null ? null : iso(ms));
  const { destination: told } = record;
  return {
    id: record.id,
    type: record.type,
    status: record.state,
    idempotency_key: record.idempotencyKey,
    created_on: iso(record.createdMs),
    ended_on: time(record.endedMs),
    payload_bytes: record.payloadBytes,
    attempts: record.attempts,
    next_attempt_on: time(record.nextMs),
    outcome: record.outcome,
    error: record.error,
    destination: told && {
      to: destinationToJson(told.to),
      status: told.state,
      attempts: told.attempts,
      error: told.error,
    },
  };
}

function detailToJson({ response, ...record }: InvocationDetail) {
  return {
    ...toJson(record),
    response: response && {
      status: response.status,
      headers: response.headers,
      ...bodyToJson(response.body),
      is_truncated: response.isTruncated,
    },
  };
}

/** As text if it is one. */
function bodyToJson(base64: string) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    return { body: text.decode(Uint8Array.fromBase64(base64)), is_base64: false };
  } catch {
    return { body: base64, is_base64: true };
  }
}
