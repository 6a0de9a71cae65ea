/** `/zones/{zone}/workers/routes` and `W/{script}/routes`: routes that lead to Workers of the account. */
import * as z from "zod";
import { parseRoutePattern } from "../protocol/route-pattern.ts";
import type { ZonePattern, ZoneRoute } from "../registry/zone-routes.ts";
import { accountId, param, registry, settle, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { updateCertificate } from "./namespaces.ts";
import { formatRoutePattern } from "./routes.ts";

export const zoneRoute = z.object({
  pattern: z.string(),
  /** Absent or null: what matches goes to no Worker. */
  script: z.string().nullish(),
});

/** As wrangler's configuration has them. */
export const scriptRoutes = z.array(
  z.union([
    z.string().transform((pattern) => ({ pattern, zone_id: undefined, zone_name: undefined })),
    z.object({
      pattern: z.string(),
      zone_id: z.string().optional(),
      zone_name: z.string().optional(),
    }),
  ]),
);

export async function listRoutes(c: ApiContext): Promise<Response> {
  const routes = unwrap(await registry(c).zoneRoutes(accountId(c), param(c, "zone")));
  return page(c, routes.map(toJson));
}

export async function getRoute(c: ApiContext): Promise<Response> {
  const [zone, id] = [param(c, "zone"), param(c, "id")];
  return ok(c, toJson(unwrap(await registry(c).zoneRoute(accountId(c), zone, id))));
}

export async function createRoute(c: ApiContext): Promise<Response> {
  return putRoute(c, null);
}

export async function updateRoute(c: ApiContext): Promise<Response> {
  return putRoute(c, param(c, "id"));
}

export async function deleteRoute(c: ApiContext): Promise<Response> {
  const [zone, id] = [param(c, "zone"), param(c, "id")];
  const deleted = unwrap(await registry(c).deleteZoneRoute(accountId(c), zone, id));
  await taken(c, deleted.generation);
  return ok(c, { id });
}

export async function listScriptRoutes(c: ApiContext): Promise<Response> {
  const routes = unwrap(await registry(c).scriptRoutes(accountId(c), param(c, "script")));
  return page(c, routes.map(toJson));
}

/** Replaces all routes of the script. */
export async function putScriptRoutes(c: ApiContext): Promise<Response> {
  const routes = await jsonBody(c, scriptRoutes);
  const patterns = routes.map(({ pattern, zone_id, zone_name }) =>
    zonePattern(pattern, zone_id ?? zone_name),
  );
  const set = unwrap(await registry(c).setScriptRoutes(accountId(c), param(c, "script"), patterns));
  await taken(c, set.generation);
  return ok(c, set.value.map(toJson));
}

async function putRoute(c: ApiContext, id: string | null): Promise<Response> {
  const { pattern, script } = await jsonBody(c, zoneRoute);
  const zone = param(c, "zone");
  const put = unwrap(
    await registry(c).putZoneRoute(accountId(c), zone, id, zonePattern(pattern), script ?? null),
  );
  await taken(c, put.generation);
  return ok(c, toJson(put.value));
}

/** Waits until the edges have it, with a certificate for its hosts. */
export async function taken(c: ApiContext, generation: number): Promise<void> {
  await settle(c, generation);
  await updateCertificate(c);
}

/** `zone`: id or name, if the caller says it. */
export function zonePattern(text: string, zone?: string): ZonePattern {
  const parsed = parseRoutePattern(text);
  if (!parsed.ok) throw new ApiError("badRoute", parsed.reason);
  const host = parsed.pattern.host.replace(/^\./, "");
  return { pattern: formatRoutePattern(parsed.pattern), host, zone: zone?.toLowerCase() };
}

function toJson({ id, pattern, script, zoneId, zone }: ZoneRoute) {
  return { id, pattern, ...(script !== null && { script }), zone_id: zoneId, zone_name: zone };
}
