/** Where functions run and why, and what happened. Ours, not Cloudflare's. */
import type { EventRecord } from "../registry/events.ts";
import { namespaceOf, param, registry, type ApiContext } from "./context.ts";
import { ok } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { parseTime, TIME_FORMS } from "./metrics-range.ts";
import { iso } from "./user.ts";

const USUAL_EVENTS = 100;
const MAX_EVENTS = 1_000;

/** `GET …/scripts/{script}/placement` */
export async function getPlacement(c: ApiContext): Promise<Response> {
  const { id } = await namespaceOf(c);
  const found = unwrap(await registry(c).placement(id, param(c, "script")));
  const { place, trust } = found;
  return ok(c, {
    version_id: found.versionId,
    place: place.kind,
    why: place.why,
    trust: trust.state,
    since: iso(trust.sinceMs),
    clean_invocations: found.cleanInvocations,
    strikes: trust.strikes.map(iso),
    convictions: trust.convictions,
    refused_until: place.refusedUntilMs > Date.now() ? iso(place.refusedUntilMs) : null,
  });
}

/** `GET …/namespaces/{namespace}/events?script=&since=&limit=`, or `…/workers/events`, newest first */
export async function listEvents(c: ApiContext): Promise<Response> {
  const { script = null, since, limit = String(USUAL_EVENTS) } = c.req.query();
  const count = Number(limit);
  if (!Number.isInteger(count) || count < 1 || count > MAX_EVENTS) {
    throw new ApiError("invalid", `limit is '${limit}', expected a number from 1 to ${MAX_EVENTS}`);
  }
  const sinceMs = since === undefined ? 0 : parseTime(since, Date.now());
  if (sinceMs === null) {
    throw new ApiError("invalid", `since is '${since}', expected ${TIME_FORMS}`);
  }
  const { id } = await namespaceOf(c);
  const events = await registry(c).events(id, { script, sinceMs, limit: count });
  return ok(c, events.map(toJson));
}

function toJson({ at, versionId, ...event }: EventRecord) {
  return { ...event, at: iso(at), version_id: versionId };
}
