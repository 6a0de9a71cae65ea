/**
 * `/zones`: the domains of an account. On Cloudflare a zone is a domain's DNS; here it says no more than that the
 * account's Workers may have its hosts. Making and deleting them is as in Cloudflare's API, and what `skep zone` does.
 */
import * as z from "zod";
import type { ZoneRecord } from "../registry/zones.ts";
import { accountId, param, registry, settle, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { updateCertificate } from "./namespaces.ts";
import { iso } from "./user.ts";

/** Two labels at least. */
const NAME =
  /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export const creation = z.object({
  name: z.string(),
  account: z.object({ id: z.string() }).optional(),
});

export async function listZones(c: ApiContext): Promise<Response> {
  const { name, "account.id": account = accountId(c) } = c.req.query();
  const zones = account === accountId(c) ? await registry(c).zones(accountId(c)) : [];
  const found = zones.filter((zone) => name === undefined || zone.name === name.toLowerCase());
  return page(
    c,
    found.map((zone) => toJson(c, zone)),
  );
}

export async function getZone(c: ApiContext): Promise<Response> {
  return ok(c, toJson(c, unwrap(await registry(c).zone(accountId(c), param(c, "zone")))));
}

export async function createZone(c: ApiContext): Promise<Response> {
  const { name: text, account } = await jsonBody(c, creation);
  if (account !== undefined && account.id !== accountId(c)) {
    throw new ApiError("forbidden", "Authentication error: this token is for another account");
  }
  const name = text.toLowerCase();
  await refuseBadName(c, name);
  return ok(c, toJson(c, unwrap(await registry(c).addZone(accountId(c), name))));
}

export async function deleteZone(c: ApiContext): Promise<Response> {
  const id = param(c, "zone");
  const { generation } = unwrap(await registry(c).removeZone(accountId(c), id));
  await settle(c, generation);
  await updateCertificate(c);
  return ok(c, { id });
}

/** Below the base domain names are those of namespaces, whose functions a route would cut off. */
async function refuseBadName(c: ApiContext, name: string): Promise<void> {
  const { baseDomain } = c.env.PLATFORM;
  const bad = (why: string) => new ApiError("badZone", `'${name}' cannot be a zone: ${why}`);
  if (name === baseDomain || baseDomain.endsWith(`.${name}`)) {
    throw bad(`the platform's own names are in it (${baseDomain}). Choose a domain beside it.`);
  }
  if (!NAME.test(name)) throw bad("expected a domain such as example.com");
  if (!name.endsWith(`.${baseDomain}`)) return;
  const label =
    name
      .slice(0, -baseDomain.length - 1)
      .split(".")
      .at(-1) ?? "";
  if ((await registry(c).namespaceId(label)) === null) return;
  throw bad(`names that end in .${label}.${baseDomain} are those of the namespace '${label}'.`);
}

function toJson(c: ApiContext, { id, name, createdOn }: ZoneRecord) {
  const { accountId: account, accountName } = c.var.token;
  return {
    id,
    name,
    status: "active",
    paused: false,
    type: "full",
    account: { id: account, name: accountName },
    created_on: iso(createdOn),
    modified_on: iso(createdOn),
    activated_on: iso(createdOn),
  };
}
