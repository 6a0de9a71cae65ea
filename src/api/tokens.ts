/**
 * `/user/tokens` and `/accounts/{account}/tokens`. A token's text is in the answer that makes it, and nowhere else.
 * Policies are Cloudflare's; what they can say here is: these permissions, on the account or on some of its
 * namespaces.
 */
import * as z from "zod";
import { PERMISSIONS, type Permission } from "../protocol/permissions.ts";
import type { TokenRecord } from "../registry/records.ts";
import { sha256Hex } from "./auth.ts";
import { accountId, param, registry, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import { jsonBody } from "./json-body.ts";
import { parseTime, TIME_FORMS } from "./metrics-range.ts";
import { iso } from "./user.ts";

/** Tokens can be told from other tools' by it, in logs and by secret scanners. */
const PREFIX = "skep_";
const ACCOUNT_RESOURCE = "com.cloudflare.api.account.";
/** `<account>_<namespace>` follows. */
const NAMESPACE_RESOURCE = "com.cloudflare.edge.worker.namespace.";

const GROUPS: Readonly<Record<Permission, string>> = {
  read: "Skep Read",
  deploy: "Skep Deploy",
  data: "Skep Data",
  tail: "Skep Tail",
  admin: "Skep Admin",
};

export const creation = z.strictObject({
  name: z.string().min(1).max(120),
  policies: z
    .array(
      z.strictObject({
        id: z.string().optional(),
        effect: z.literal("allow", "only 'allow' is supported: grant no more than is needed"),
        permission_groups: z
          .array(z.object({ id: z.string().optional(), name: z.string().optional() }))
          .min(1),
        resources: z.record(z.string(), z.literal("*", "expected '*'")),
      }),
    )
    .length(1, "expected one policy: all permissions of a token hold for all of its resources"),
  expires_on: z.string().nullish(),
});

export async function listTokens(c: ApiContext): Promise<Response> {
  return page(c, (await registry(c).tokens(accountId(c))).map(toJson));
}

export async function getToken(c: ApiContext): Promise<Response> {
  return ok(c, toJson(unwrap(await registry(c).token(accountId(c), param(c, "token")))));
}

export async function createToken(c: ApiContext): Promise<Response> {
  const { name, policies, expires_on: expiresOn } = await jsonBody(c, creation);
  const [policy] = policies;
  const permissions = (policy?.permission_groups ?? []).map(toPermission);
  refuseMoreThanOwn(c, permissions);
  const value = newToken();
  const created = unwrap(
    await registry(c).createToken({
      accountId: accountId(c),
      owner: c.req.param("account") === undefined ? "user" : "account",
      name,
      hash: await sha256Hex(value),
      namespaces: toNamespaces(c, Object.keys(policy?.resources ?? {})),
      permissions: PERMISSIONS.filter((each) => permissions.includes(each)),
      expiresOn: expiresOn == null ? null : toTime(expiresOn),
    }),
  );
  return ok(c, { ...toJson(created), value });
}

export async function deleteToken(c: ApiContext): Promise<Response> {
  const id = param(c, "token");
  unwrap(await registry(c).deleteToken(accountId(c), id));
  return ok(c, { id });
}

/** The old text is worth nothing from here on. */
export async function rollToken(c: ApiContext): Promise<Response> {
  const id = param(c, "token");
  refuseMoreThanOwn(c, unwrap(await registry(c).token(accountId(c), id)).permissions);
  const value = newToken();
  unwrap(await registry(c).rollToken(accountId(c), id, await sha256Hex(value)));
  return ok(c, value);
}

export function listPermissionGroups(c: ApiContext): Response {
  const scopes = [ACCOUNT_RESOURCE.slice(0, -1), NAMESPACE_RESOURCE.slice(0, -1)];
  return page(
    c,
    PERMISSIONS.map((id) => ({ id, name: GROUPS[id], scopes })),
  );
}

function newToken(): string {
  const random = crypto.getRandomValues(new Uint8Array(32));
  return PREFIX + random.toBase64({ alphabet: "base64url", omitPadding: true });
}

function toPermission({ id, name }: { id?: string | undefined; name?: string | undefined }) {
  const found = PERMISSIONS.find((each) => each === id || GROUPS[each] === name);
  if (found) return found;
  throw new ApiError(
    "badToken",
    `policies: there is no permission group '${id ?? name ?? ""}': use ${PERMISSIONS.join(", ")}.`,
  );
}

/** Nobody becomes more than they are by way of a token that they make. */
function refuseMoreThanOwn(c: ApiContext, wanted: readonly Permission[]): void {
  const own = c.var.token.permissions;
  const lacking = wanted.find((each) => !own.includes(each));
  if (lacking === undefined) return;
  throw new ApiError(
    "forbidden",
    `Authentication error: this token lacks the permission '${lacking}', and can give it to no other`,
  );
}

/** null: all of the account. */
function toNamespaces(c: ApiContext, resources: readonly string[]): readonly string[] | null {
  const whole = ACCOUNT_RESOURCE + accountId(c);
  const prefix = `${NAMESPACE_RESOURCE}${accountId(c)}_`;
  const unknown = resources.find((each) => each !== whole && !each.startsWith(prefix));
  if (unknown !== undefined || resources.length === 0) {
    throw new ApiError(
      "badToken",
      `policies[0].resources: expected '${whole}' for the whole account or '${prefix}<namespace>', got '${unknown ?? ""}'.`,
    );
  }
  if (resources.includes(whole)) return null;
  return resources.map((each) => each.slice(prefix.length));
}

function toTime(text: string): number {
  const time = parseTime(text, 0);
  if (time === null || time < 0) {
    throw new ApiError("badToken", `expires_on is '${text}', expected ${TIME_FORMS}`);
  }
  if (time <= Date.now()) throw new ApiError("badToken", `expires_on: ${iso(time)} is past.`);
  return time;
}

function toJson(token: TokenRecord) {
  const { id, name, namespaces, permissions, createdOn, expiresOn, lastUsedOn } = token;
  const resources =
    namespaces === null
      ? [ACCOUNT_RESOURCE + token.accountId]
      : namespaces.map((each) => `${NAMESPACE_RESOURCE}${token.accountId}_${each}`);
  return {
    id,
    name,
    status: expiresOn !== null && expiresOn <= Date.now() ? "expired" : "active",
    issued_on: iso(createdOn),
    modified_on: iso(createdOn),
    last_used_on: lastUsedOn === null ? null : iso(lastUsedOn),
    ...(expiresOn !== null && { expires_on: iso(expiresOn) }),
    policies: [
      {
        id,
        effect: "allow",
        permission_groups: permissions.map((each) => ({ id: each, name: GROUPS[each] })),
        resources: Object.fromEntries(resources.map((each) => [each, "*"])),
      },
    ],
  };
}
