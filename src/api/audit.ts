/**
 * The audit log. `recordChanges` catches every route that changes something, by its rule (permissions.ts): it compares
 * what was there with what is there afterwards, so that no handler has to say what it did. Two changes of one thing at
 * the same time may each show both. An entry is written right after the change: a hub that is killed in between leaves
 * it out.
 */
import { createMiddleware } from "hono/factory";
import type { AuditEntry } from "../registry/audit.ts";
import type { NamespaceRecord } from "../registry/records.ts";
import { difference, isSame, type Subject } from "../registry/snapshot.ts";
import { clientAddress } from "./client-address.ts";
import { accountId, registry, type Api, type ApiContext } from "./context.ts";
import { pageOf, partOf } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { parseTime, TIME_FORMS } from "./metrics-range.ts";
import { pathParam, ruleOf, type Rule } from "./permissions.ts";
import { iso } from "./user.ts";

/** Cloudflare's. */
const PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;

export const recordChanges = createMiddleware<Api>(async (c, next) => {
  const found = ruleOf(c);
  if (!found?.rule.action) return next();
  const { path, rule } = found;
  const account = accountId(c);
  const look = (subject: Subject | null) => subject && registry(c).snapshot(account, subject);

  const subject = subjectOf(c, path);
  const there = await look(rule.makes === undefined ? subject : null);
  await next();
  const before = c.var.replaced ?? there;
  const { status, ok } = c.res;
  if (status >= 400 && status < 500) return;
  const changed = ok ? ((await made(c, rule)) ?? subject) : subject;
  const after = await look(changed);
  // A change may be stored although the edges have not confirmed it.
  if (!ok && isSame(before, after)) return;
  const { id, name } = c.var.token;
  await registry(c).recordAudit({
    accountId: account,
    actor: { id, name },
    address: clientAddress(c),
    action: rule.action ?? "",
    target: await targetOf(c, changed ?? subject),
    ...difference(before, after),
  });
});

/** What the path is about. null: the account. */
function subjectOf(c: ApiContext, path: string): Subject | null {
  const namespace = pathParam(c, path, "namespace");
  const script = pathParam(c, path, "script");
  const token = pathParam(c, path, "token");
  const route = pathParam(c, path, "id");
  const zone = pathParam(c, path, "zone");
  if (script !== undefined) return { kind: "script", namespace: namespace ?? null, script };
  if (namespace !== undefined) return { kind: "namespace", namespace };
  if (token !== undefined) return { kind: "token", id: token };
  if (route !== undefined) return { kind: "route", id: route };
  return zone === undefined ? null : { kind: "zone", id: zone };
}

/** What the answer names: something new, or a namespace by the name that it has now. */
async function made(c: ApiContext, { makes, action }: Rule): Promise<Subject | null> {
  const kind = action === "namespace.update" ? "namespace" : makes;
  if (kind === undefined) return null;
  const { result } = await c.res.clone().json<{ result: { id: string; namespace_name: string } }>();
  return kind === "namespace"
    ? { kind, namespace: result.namespace_name }
    : { kind, id: result.id };
}

async function targetOf(c: ApiContext, subject: Subject | null): Promise<string> {
  switch (subject?.kind) {
    case undefined:
      return c.req.path;
    case "script": {
      const { namespace, script } = subject;
      return `${namespace ?? (await accountNamespace(c)).name}/${script}`;
    }
    case "namespace":
      return subject.namespace;
    case "route":
    case "token":
    case "zone":
      return `${subject.kind} ${subject.id}`;
  }
}

function accountNamespace(c: ApiContext): Promise<NamespaceRecord> {
  return registry(c).accountNamespace(accountId(c));
}

/** `GET /accounts/{account}/audit_logs?since=&before=&target=&page=&per_page=`, newest first. `target` is ours. */
export async function listAuditLogs(c: ApiContext): Promise<Response> {
  const { since, before, target = null } = c.req.query();
  const now = Date.now();
  const part = partOf(c, PAGE_SIZE, MAX_PAGE_SIZE);
  const { entries, total } = await registry(c).audit(accountId(c), {
    sinceMs: since === undefined ? 0 : readTime("since", since, now),
    untilMs: before === undefined ? now : readTime("before", before, now),
    target,
    offset: (part.number - 1) * part.size,
    limit: part.size,
  });
  return pageOf(c, part, entries.map(toJson), total);
}

function readTime(name: string, text: string, now: number): number {
  const time = parseTime(text, now);
  if (time !== null) return time;
  throw new ApiError("invalid", `${name} is '${text}', expected ${TIME_FORMS}`);
}

function toJson(entry: AuditEntry) {
  const { id, at, accountId: owner, actor, address, action, target, before, after } = entry;
  return {
    id: String(id),
    when: iso(at),
    action: { type: action, result: true },
    actor: { id: actor.id, email: actor.name, ip: address, type: "user" },
    interface: "API",
    owner: { id: owner },
    resource: { type: action.split(".", 1)[0], id: target },
    oldValueJson: before,
    newValueJson: after,
  };
}
