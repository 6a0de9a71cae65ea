/**
 * `/accounts/{account}/workers/dispatch/routes`: host and path patterns that lead to a script of a
 * namespace. Ours, not Cloudflare's: there, zones have routes, and they lead to the dispatch Worker.
 */
import * as z from "zod";
import { parseRoutePattern, type RoutePattern } from "../protocol/route-pattern.ts";
import type { Route } from "../protocol/routing.ts";
import type { RouteSpec } from "../registry/routes.ts";
import { mayTouch, refuseOtherNamespace } from "./auth.ts";
import { accountId, param, registry, settle, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { updateCertificate } from "./namespaces.ts";

export const body = z.object({
  pattern: z.string(),
  namespace: z.string(),
  /** Absent or null: what matches goes to no function. */
  script: z.string().nullish(),
});

export async function listRoutes(c: ApiContext): Promise<Response> {
  const all = await registry(c).routes(accountId(c));
  return page(
    c,
    all.filter(({ namespace }) => mayTouch(c, namespace)),
  );
}

export async function createRoute(c: ApiContext): Promise<Response> {
  const created = unwrap(await registry(c).createRoute(accountId(c), await routeSpec(c)));
  return done(c, created.generation, created.value);
}

export async function getRoute(c: ApiContext): Promise<Response> {
  return ok(c, await ownRoute(c));
}

export async function updateRoute(c: ApiContext): Promise<Response> {
  const { id } = await ownRoute(c);
  const updated = unwrap(await registry(c).updateRoute(accountId(c), id, await routeSpec(c)));
  return done(c, updated.generation, updated.value);
}

export async function deleteRoute(c: ApiContext): Promise<Response> {
  const { id } = await ownRoute(c);
  const deleted = unwrap(await registry(c).deleteRoute(accountId(c), id));
  return done(c, deleted.generation, null);
}

/** The `:id` of the path; one of a namespace that the token may not touch is not there for it. */
async function ownRoute(c: ApiContext): Promise<Route> {
  const id = param(c, "id");
  const route = unwrap(await registry(c).route(accountId(c), id));
  if (mayTouch(c, route.namespace)) return route;
  throw new ApiError("routeNotFound", `There is no route with the id '${id}'.`);
}

async function done(c: ApiContext, generation: number, result: unknown): Promise<Response> {
  await settle(c, generation);
  await updateCertificate(c);
  return ok(c, result);
}

/** One spelling per pattern, so that no two routes mean the same. */
export function formatRoutePattern(pattern: RoutePattern): string {
  const { scheme, host, hostWildcard, path, pathWildcard } = pattern;
  return `${scheme ? `${scheme}://` : ""}${hostWildcard ? "*" : ""}${host}${path}${pathWildcard ? "*" : ""}`;
}

async function routeSpec(c: ApiContext): Promise<RouteSpec> {
  const { pattern, namespace, script } = await jsonBody(c, body);
  const parsed = parseRoutePattern(pattern);
  if (!parsed.ok) throw new ApiError("badRoute", parsed.reason);
  refuseOtherNamespace(c, namespace);
  const { id } = unwrap(await registry(c).namespace(accountId(c), namespace));
  return { pattern: formatRoutePattern(parsed.pattern), namespaceId: id, script: script ?? null };
}
