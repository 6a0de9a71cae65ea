/**
 * Who calls, and what they may do. The token is hashed and looked up by its hash, so that the time a
 * look-up takes says nothing about stored tokens.
 */
import { createMiddleware } from "hono/factory";
import type { Permission } from "../registry/records.ts";
import { accountId, registry, type Api, type ApiContext } from "./context.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";

/** Every route but the health check comes through here. */
export const authenticate = createMiddleware<Api>(async (c, next) => {
  const token = credentials(c);
  if (token === null) {
    throw new ApiError(
      "missingCredentials",
      "Missing X-Auth-Key, X-Auth-Email or Authorization headers",
    );
  }
  c.set("token", unwrap(await registry(c).authenticate(await sha256Hex(token))));
  await next();
});

/** Read from the path itself: middleware sees only the parameters of its own pattern. */
const NAMESPACE_PATH = /\/workers\/dispatch\/namespaces\/([^/]+)/;

/** For routes under an account, and those of zones, which are the token's account's own: it must be the token's, and the token must allow what is done. */
export const authorize = createMiddleware<Api>(async (c, next) => {
  const { token } = c.var;
  const needed: Permission = c.req.method === "GET" || c.req.method === "HEAD" ? "read" : "write";
  const namespace = NAMESPACE_PATH.exec(c.req.path)?.[1];
  if ((c.req.param("account") ?? accountId(c)) !== accountId(c))
    throw forbidden("is for another account");
  if (!token.permissions.includes(needed)) throw forbidden(`may not ${needed}`);
  refuseOtherNamespace(c, namespace);
  await next();
});

/** Of what a request touches. undefined: all of the account. */
export function refuseOtherNamespace(c: ApiContext, namespace: string | undefined): void {
  const { namespaces } = c.var.token;
  if (namespaces === null || (namespace && namespaces.includes(namespace))) return;
  throw forbidden(`is limited to the namespaces ${namespaces.join(", ")}`);
}

function forbidden(why: string): ApiError {
  return new ApiError("forbidden", `Authentication error: this token ${why}`);
}

/** `X-Auth-Key` may carry the token, for tools that know only the old pair of headers. */
function credentials(c: ApiContext): string | null {
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(c.req.header("authorization") ?? "")?.[1];
  if (bearer) return bearer;
  return c.req.header("x-auth-email") ? (c.req.header("x-auth-key") ?? null) : null;
}

export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}
