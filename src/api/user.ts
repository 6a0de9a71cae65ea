/** What `wrangler whoami` and the SDK ask about the token's owner. There is one account per token. */
import type { ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";

export function verifyToken(c: ApiContext): Response {
  const { id, createdOn, expiresOn } = c.var.token;
  return ok(c, {
    id,
    status: "active",
    not_before: iso(createdOn),
    ...(expiresOn !== null && { expires_on: iso(expiresOn) }),
  });
}

export function getUser(c: ApiContext): Response {
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
