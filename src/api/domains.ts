/**
 * `A/workers/domains` and `W/{script}/domains`: custom domains, hosts that lead to one Worker with all their paths.
 * wrangler first asks for the changes that its list would make (`changeset`), and then sets it (`records`).
 */
import * as z from "zod";
import type { ZonePattern, ZoneRoute } from "../registry/zone-routes.ts";
import { accountId, param, registry, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { taken, zonePattern } from "./zone-routes.ts";

export const origin = z.object({
  hostname: z.string(),
  zone_id: z.string().optional(),
  zone_name: z.string().optional(),
  enabled: z.boolean().optional(),
  previews_enabled: z.boolean().optional(),
});
type Origin = z.infer<typeof origin>;

export const records = z.object({
  override_scope: z.boolean().default(false),
  override_existing_origin: z.boolean().default(false),
  origins: z.array(origin),
});

export const domain = origin.extend({ service: z.string(), environment: z.string().optional() });

export async function listDomains(c: ApiContext): Promise<Response> {
  const { hostname, service, zone_id, zone_name, environment } = c.req.query();
  const wanted = Object.entries({ hostname, service, zone_id, zone_name, environment });
  const found = (await registry(c).domains(accountId(c))).map(toJson).filter((each) => {
    const known: Readonly<Record<string, unknown>> = each;
    return wanted.every(([key, value]) => value === undefined || known[key] === value);
  });
  return page(c, found);
}

export async function getDomain(c: ApiContext): Promise<Response> {
  return ok(c, toJson(unwrap(await registry(c).domain(accountId(c), param(c, "id")))));
}

/** Adds one to those of the Worker. */
export async function putDomain(c: ApiContext): Promise<Response> {
  const { service, environment = "production", ...rest } = await jsonBody(c, domain);
  if (environment !== "production") {
    throw new ApiError(
      "notSupported",
      `There are no environments of a Worker but 'production': leave environment '${environment}' out.`,
    );
  }
  const wanted = toPattern(rest);
  const there = await registry(c).domains(accountId(c));
  const known = there.find(({ pattern }) => pattern === wanted.pattern);
  if (known) {
    const { id } = known;
    c.set("replaced", await registry(c).snapshot(accountId(c), { kind: "route", id }));
  }
  const how = { keepOthers: true, mayTake: true };
  const set = unwrap(await registry(c).setDomains(accountId(c), service, [wanted], how));
  await taken(c, set.generation);
  const added = set.value.find(({ pattern }) => pattern === wanted.pattern);
  return ok(c, added && toJson(added));
}

export async function deleteDomain(c: ApiContext): Promise<Response> {
  const id = param(c, "id");
  const { generation } = unwrap(await registry(c).deleteDomain(accountId(c), id));
  await taken(c, generation);
  return ok(c, { id });
}

export async function previewChanges(c: ApiContext): Promise<Response> {
  const wanted = (await jsonBody(c, z.array(origin))).map(toPattern);
  const script = param(c, "script");
  const changes = unwrap(await registry(c).domainChanges(accountId(c), script, wanted));
  const { added, removed, updated, conflicting } = changes;
  const hosts = (names: readonly string[]) => names.map((hostname) => ({ hostname }));
  const replaces = c.req.query("replace_state") === "true";
  return ok(c, {
    added: hosts(added),
    removed: replaces ? removed.map(toJson) : [],
    updated: updated.map((each) => ({ ...toJson(each), modified: each.script !== script })),
    conflicting: hosts(conflicting),
  });
}

export async function putRecords(c: ApiContext): Promise<Response> {
  const { origins, override_scope, override_existing_origin } = await jsonBody(c, records);
  const wanted = origins.map(toPattern);
  const how = { keepOthers: !override_scope, mayTake: override_existing_origin };
  const set = unwrap(await registry(c).setDomains(accountId(c), param(c, "script"), wanted, how));
  await taken(c, set.generation);
  return ok(c, set.value.map(toJson));
}

function toPattern({
  hostname,
  zone_id,
  zone_name,
  enabled,
  previews_enabled,
}: Origin): ZonePattern {
  const refuse = (what: string, why: string) =>
    new ApiError("notSupported", `${what} of the custom domain '${hostname}' ${why}`);
  if (enabled === false) {
    throw refuse("enabled = false", "is not supported: leave the domain out instead.");
  }
  if (previews_enabled === true) {
    throw refuse(
      "previews_enabled = true",
      "is not supported: previews answer under the platform's own names.",
    );
  }
  if (/[*/:]/.test(hostname)) {
    throw new ApiError(
      "badRoute",
      `'${hostname}' is not a host name: a custom domain has no path, port or *. Use a route for that.`,
    );
  }
  return zonePattern(`${hostname}/*`, zone_id ?? zone_name);
}

function toJson({ id, pattern, script, zoneId, zone }: ZoneRoute) {
  return {
    id,
    hostname: pattern.slice(0, -"/*".length),
    service: script,
    environment: "production",
    zone_id: zoneId,
    zone_name: zone,
    // All hosts are in one certificate.
    cert_id: id,
    enabled: true,
    previews_enabled: false,
  };
}
