/**
 * `…/scripts/{script}/tails`, and ours: `…/namespaces/{namespace}/tails` for all functions of a namespace. The answer
 * names a WebSocket, which needs no token: whoever knows its URL may read for as long as the tail lasts.
 */
import * as z from "zod";
import type { TailFilter } from "../hub/tail-filter.ts";
import type { FunctionLogs } from "../hub/function-logs.ts";
import type { TailRecord } from "../registry/tracing.ts";
import { clientAddress } from "./client-address.ts";
import { namespaceOf, param, registry, scriptOf, settle, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { parseJson, validate } from "./json-body.ts";
import { readAnyBody } from "./upload/form.ts";
import { iso } from "./user.ts";

const LIFETIME_MS = 6 * 3_600_000;
const ID_BYTES = 32;
const PROTOCOL = "trace-v1";
const MAX_FILTER_BYTES = 64 * 1024;

const filter = z.strictObject({
  sampling_rate: z.number().min(0).max(1).optional(),
  outcome: z.array(z.string()).optional(),
  method: z.array(z.string()).optional(),
  header: z.object({ key: z.string(), query: z.string().optional() }).optional(),
  client_ip: z.array(z.string()).optional(),
  query: z.string().optional(),
  scriptVersion: z.string().optional(),
});

export const creation = z.object({ filters: z.array(filter).max(20).default([]) });

interface Target {
  readonly namespaceId: string;
  /** null: all of the namespace. */
  readonly script: string | null;
}

async function targetOf(c: ApiContext): Promise<Target> {
  if (c.req.param("script") === undefined) {
    return { namespaceId: (await namespaceOf(c)).id, script: null };
  }
  const { namespaceId, name } = await scriptOf(c);
  return { namespaceId, script: name };
}

/** Answers when the edges trace. */
export async function createTail(c: ApiContext): Promise<Response> {
  const target = await targetOf(c);
  const text = new TextDecoder().decode(await readAnyBody(c.req.raw, MAX_FILTER_BYTES));
  const body = text.trim() === "" ? {} : parseJson(text, "the request body");
  const { filters } = validate(creation, body, "", "invalid");
  const id = crypto.getRandomValues(new Uint8Array(ID_BYTES)).toHex();
  const own = clientAddress(c);
  const stored = unwrap(
    await registry(c).startTail({
      ...target,
      id,
      filters: JSON.stringify(filters.map((each) => withOwnAddress(each, own))),
      expiresOn: Date.now() + LIFETIME_MS,
    }),
  );
  await settle(c, stored.generation);
  return ok(c, toJson(c, stored.value));
}

export async function listTails(c: ApiContext): Promise<Response> {
  const { namespaceId, script } = await targetOf(c);
  const tails = await registry(c).tails(namespaceId, script);
  return page(
    c,
    tails.map((tail) => toJson(c, tail)),
  );
}

/** wrangler deletes a tail whose connection has ended it already. */
export async function deleteTail(c: ApiContext): Promise<Response> {
  const { namespaceId, script } = await targetOf(c);
  const id = param(c, "tail");
  const tail = await registry(c).tail(id);
  if (tail !== null && (tail.namespaceId !== namespaceId || tail.script !== script)) {
    throw new ApiError("tailNotFound", "This tail is of another Worker.");
  }
  if (tail !== null) {
    await objectOf(c.env.FUNCTION_LOGS, tail).endTail(id);
    unwrap(await registry(c).endTail(id));
  }
  return ok(c, null);
}

/** Not below the account's path, and without a token. */
export async function connectTail(c: ApiContext): Promise<Response> {
  const tail = await registry(c).tail(param(c, "tail"));
  if (tail === null || tail.expiresOn <= Date.now()) {
    return c.text("There is no such tail, or it has ended. Start another one.\n", 404);
  }
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    return c.text("Connect with a WebSocket.\n", 426);
  }
  const protocols = c.req.header("sec-websocket-protocol")?.split(/\s*,\s*/) ?? [];
  if (!protocols.includes(PROTOCOL)) {
    return c.text(`Connect with the WebSocket protocol ${PROTOCOL}.\n`, 400);
  }
  await registry(c).renewTails([tail.id]);
  const { id, expiresOn, filters } = tail;
  const details = JSON.stringify({ id, expiresOn, filters: JSON.parse(filters) as TailFilter[] });
  return c.env.FUNCTION_LOGS.getByName(objectName(tail)).fetch("http://logs/", {
    headers: { upgrade: "websocket", "x-skep-tail": details.replace(/[^ -~]/g, escapeUnit) },
  });
}

/** Headers are ASCII, what somebody looks for need not be. */
function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function objectName({ namespaceId, script }: Target): string {
  return script === null ? namespaceId : `${namespaceId}/${script}`;
}

function objectOf(objects: DurableObjectNamespace<FunctionLogs>, tail: TailRecord) {
  return objects.getByName(objectName(tail)) as unknown as { endTail(id: string): Promise<void> };
}

function withOwnAddress(each: TailFilter, own: string): TailFilter {
  const { client_ip: addresses } = each;
  if (addresses === undefined) return each;
  return { ...each, client_ip: addresses.map((address) => (address === "self" ? own : address)) };
}

/** On the host by which the client reached the API. */
function toJson(c: ApiContext, { id, expiresOn }: TailRecord) {
  const { protocol, host } = new URL(c.req.url);
  const isSecure = protocol === "https:" || c.req.header("x-forwarded-proto") === "https";
  return {
    id,
    url: `${isSecure ? "wss" : "ws"}://${host}/tails/${id}`,
    expires_at: iso(expiresOn),
  };
}
