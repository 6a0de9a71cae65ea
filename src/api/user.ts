/** What `wrangler whoami` and the SDK ask about the token's owner. There is one account per token. */
import type { ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";

/** Code 1000 tells wrangler that the token belongs to the account, which verifies it elsewhere. */
export function verifyToken(c: ApiContext): Response {
  if (c.var.token.owner === "account") {
    throw new ApiError("notUserOwned", "Invalid API Token: it is owned by the account");
  }
  return verifyAccountToken(c);
}

export function verifyAccountToken(c: ApiContext): Response {
  const { id, createdOn, expiresOn } = c.var.token;
  return ok(c, {
    id,
    status: "active",
    not_before: iso(createdOn),
    ...(expiresOn !== null && { expires_on: iso(expiresOn) }),
  });
}

export function getUser(c: ApiContext): Response {
  if (c.var.token.owner === "account") {
    throw new ApiError(
      "noUser",
      "Unauthorized to access requested resource: no user owns this token",
    );
  }
  const { id, name, createdOn } = c.var.token;
  return ok(c, { id, email: emailOf(c), username: name, created_on: iso(createdOn) });
}

export function listAccounts(c: ApiContext): Response {
  return page(c, [account(c)]);
}

export function getAccount(c: ApiContext): Response {
  return ok(c, account(c));
}

export function listMemberships(c: ApiContext): Response {
  const { id } = c.var.token;
  return page(c, [
    {
      id,
      status: "accepted",
      account: account(c),
      roles: ["Super Administrator"],
      permissions: {},
    },
  ]);
}

/** wrangler prints it; nobody receives mail there. */
export function emailOf(c: ApiContext): string {
  return `${c.var.token.name}@${c.env.PLATFORM.baseDomain}`;
}

function account(c: ApiContext) {
  const { accountId, accountName } = c.var.token;
  return { id: accountId, name: accountName, type: "standard", settings: {} };
}

export function iso(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
