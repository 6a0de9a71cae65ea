/**
 * Who calls, and what they may do. The token is hashed and looked up by its hash, so that the time a
 * look-up takes says nothing about stored tokens. What a route needs is in permissions.ts.
 */
import { createMiddleware } from "hono/factory";
import { USE_NOTED_EVERY_MS } from "../registry/tokens.ts";
import { clientAddress } from "./client-address.ts";
import { accountId, registry, type Api, type ApiContext } from "./context.ts";
import { ApiError } from "./errors.ts";
import { FailedAttempts } from "./failed-attempts.ts";
import { unwrap } from "./failures.ts";
import { pathParam, ruleOf } from "./permissions.ts";

const failedAttempts = new FailedAttempts();

/** Every route but the health check comes through here. */
export const authenticate = createMiddleware<Api>(async (c, next) => {
  const text = credentials(c);
  if (text === null) {
    throw new ApiError(
      "missingCredentials",
      "Missing X-Auth-Key, X-Auth-Email or Authorization headers",
    );
  }
  const now = Date.now();
  const found = await registry(c).authenticate(await sha256Hex(text));
  if (!found.ok) refuseFlood(c, now);
  const token = unwrap(found);
  if (now - (token.lastUsedOn ?? 0) >= USE_NOTED_EVERY_MS) {
    c.executionCtx.waitUntil(registry(c).noteTokenUse(token.id));
  }
  c.set("token", token);
  await next();
});

function refuseFlood(c: ApiContext, now: number): void {
  const seconds = failedAttempts.take(clientAddress(c), now);
  if (seconds === 0) return;
  c.header("retry-after", String(seconds));
  throw new ApiError(
    "tooManyFailures",
    `Please wait and consider throttling your request speed: too many wrong tokens came from this address. Right ones are not held up.`,
  );
}

/** The account in the path must be the token's, and the token must allow what the route does, and to what. */
export const authorize = createMiddleware<Api>(async (c, next) => {
  const found = ruleOf(c);
  if (found === null) return next();
  const { path, rule } = found;
  const { permissions } = c.var.token;
  const account = pathParam(c, path, "account");
  if (account !== undefined && account !== accountId(c)) throw forbidden("is for another account");
  if (rule.needs !== "any" && !permissions.includes(rule.needs)) {
    throw forbidden(`lacks the permission '${rule.needs}'`);
  }
  if (rule.reach === undefined || rule.reach === "workers") {
    const namespace = pathParam(c, path, "namespace");
    const script = pathParam(c, path, "script");
    const isAccountWorker = namespace === undefined && script !== undefined;
    if (isAccountWorker || rule.reach === "workers") await refuseAccountWorker(c, script);
    else refuseOtherNamespace(c, namespace);
  }
  await next();
});

/** Of what a request touches. undefined: all of the account. */
export function refuseOtherNamespace(c: ApiContext, namespace: string | undefined): void {
  if (namespace !== undefined && mayTouch(c, namespace)) return;
  const { namespaces } = c.var.token;
  if (namespaces === null) return;
  throw forbidden(`is limited to the namespaces ${namespaces.join(", ") || "(none any more)"}`);
}

export function mayTouch(c: ApiContext, namespace: string): boolean {
  const { namespaces } = c.var.token;
  return namespaces === null || namespaces.includes(namespace);
}

/**
 * Whoever may not see account Workers is told that there is none: wrangler looks for one of the same name whenever it
 * deploys into a namespace.
 */
async function refuseAccountWorker(c: ApiContext, script: string | undefined): Promise<void> {
  if (c.var.token.namespaces === null) return;
  const { name } = await registry(c).accountNamespace(accountId(c));
  if (script === undefined || c.req.method !== "GET" || mayTouch(c, name)) {
    return refuseOtherNamespace(c, name);
  }
  throw new ApiError(
    "workerNotFound",
    `workers.api.error.script_not_found: there is no Worker '${script}' outside of a dispatch namespace that this token may see.`,
  );
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
