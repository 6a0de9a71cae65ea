/**
 * What each route needs of a token, and how a change by it is called in the audit log. This is the one place: a route
 * that is not in this table is refused, and a test finds it.
 *
 *   any     a token is enough
 *   read    looking at everything but tokens and the audit log; secrets' values are never in an answer
 *   deploy  scripts with all that belongs to them, and custom routes
 *   data    what functions keep: values, objects, rows and messages, to read and to write
 *   tail    what functions log, as it happens and kept
 *   admin   tokens, namespaces, limits, the audit log
 *
 * `reach` says what a token for certain namespaces may do with it. By default the path does: with `:namespace` it is
 * about that one, with `:script` alone about the account's own Workers, else about the whole account.
 *
 *   workers     as with `:script`: about the account's own Workers
 *   namespaces  the handler minds it: it shows and changes what belongs to the token's namespaces
 *   open        it touches nothing that belongs to a namespace
 */
import { matchedRoutes } from "hono/route";
import type { Permission } from "../protocol/permissions.ts";
import type { ApiContext } from "./context.ts";

export interface Rule {
  readonly needs: Permission | "any";
  readonly reach?: "workers" | "namespaces" | "open";
  /** What the audit log calls it. All methods but GET have one; null: it changes nothing. */
  readonly action?: string | null;
  /** Its answer's `result` names what it made, of this kind. */
  readonly makes?: "namespace" | "route" | "token" | "zone";
}

const V4 = "/client/v4";
const A = `${V4}/accounts/:account`;
const D = `${A}/workers/dispatch/namespaces`;
const N = `${D}/:namespace`;
const Z = `${V4}/zones`;
const R = `${A}/workers/dispatch/routes`;
const W = `${A}/workers/scripts/:script`;
const E = `${A}/workers/services/:script/environments/:environment`;

const any: Rule = { needs: "any", reach: "open" };
const read: Rule = { needs: "read" };
const readWorkers: Rule = { needs: "read", reach: "workers" };
/** Changes nothing, since it is always refused, with a reason that everybody may know. */
const refuses: Rule = { ...any, action: null };
const readOwn: Rule = { needs: "read", reach: "namespaces" };
const tail: Rule = { needs: "tail" };
const adminRead: Rule = { needs: "admin" };
const deploy = (action: string, more: Partial<Rule> = {}): Rule => ({
  needs: "deploy",
  action,
  ...more,
});
const admin = (action: string, more: Partial<Rule> = {}): Rule => ({
  needs: "admin",
  action,
  ...more,
});

/** Of what functions keep. Contents are no matter of the audit log. */
const readData: Rule = { needs: "data", reach: "namespaces" };
const data: Rule = { ...readData, action: null };
const deployOwn = (action: string): Rule => deploy(action, { reach: "namespaces" });

/** By method and path, as app.ts has them. */
export const RULES: Readonly<Record<string, Rule>> = {
  [`GET ${V4}/openapi.json`]: any,
  [`GET ${V4}/user/tokens/verify`]: any,
  [`GET ${V4}/user`]: any,
  [`GET ${V4}/accounts`]: any,
  [`GET ${V4}/memberships`]: any,
  [`GET ${A}`]: any,
  [`GET ${A}/tokens/verify`]: any,

  ...r2Rules(),
  ...tokenRules(`${V4}/user/tokens`),
  ...tokenRules(`${A}/tokens`),
  [`GET ${A}/audit_logs`]: adminRead,

  [`POST ${D}`]: admin("namespace.create", { makes: "namespace" }),
  [`GET ${D}`]: readOwn,
  [`GET ${N}`]: read,
  [`PUT ${N}`]: admin("namespace.update"),
  [`PATCH ${N}`]: admin("namespace.update"),
  [`DELETE ${N}`]: admin("namespace.delete"),

  [`GET ${N}/scripts`]: read,
  [`DELETE ${N}/scripts`]: deploy("scripts.delete"),
  ...scriptRules(`${N}/scripts/:script`),
  ...tailRules(N),
  [`GET ${N}/limits`]: read,
  [`PUT ${N}/limits`]: admin("namespace.limits"),
  [`GET ${N}/events`]: read,
  [`GET ${N}/metrics`]: read,
  [`GET ${A}/workers/events`]: readWorkers,
  [`GET ${A}/workers/metrics`]: readWorkers,
  ["GET /metrics"]: readOwn,

  [`GET ${R}`]: readOwn,
  [`POST ${R}`]: deploy("route.create", { reach: "namespaces", makes: "route" }),
  [`GET ${R}/:id`]: readOwn,
  [`PUT ${R}/:id`]: deploy("route.update", { reach: "namespaces" }),
  [`DELETE ${R}/:id`]: deploy("route.delete", { reach: "namespaces" }),

  ...scriptRules(W),
  [`GET ${W}/content/v2`]: read,
  [`GET ${W}/subdomain`]: read,
  [`POST ${W}/subdomain`]: deploy("script.subdomain"),
  [`DELETE ${W}/subdomain`]: deploy("script.subdomain"),
  [`GET ${W}/references`]: read,
  [`GET ${A}/workers/scripts`]: readWorkers,
  [`GET ${A}/workers/scripts-search`]: readWorkers,
  [`GET ${A}/workers/account-settings`]: readWorkers,
  [`GET ${A}/workers/tails/by-consumer/:script`]: read,
  [`GET ${A}/workers/subdomain`]: readWorkers,
  [`PUT ${A}/workers/subdomain`]: refuses,
  [`DELETE ${A}/workers/subdomain`]: refuses,
  [`GET ${A}/workers/services/:script`]: read,
  [`DELETE ${A}/workers/services/:script`]: deploy("script.delete"),
  [`GET ${E}`]: read,
  [`GET ${E}/bindings`]: read,
  [`GET ${E}/subdomain`]: read,
  [`GET ${E}/content`]: read,
  [`GET ${E}/content/v2`]: read,
  [`GET ${E}/settings`]: read,
  [`GET ${A}/workers/workers`]: readWorkers,
  [`POST ${A}/workers/workers`]: refuses,
  [`GET ${A}/workers/workers/:script`]: read,
  [`PUT ${A}/workers/workers/:script`]: deploy("script.settings"),
  [`PATCH ${A}/workers/workers/:script`]: deploy("script.settings"),
  [`DELETE ${A}/workers/workers/:script`]: deploy("script.delete"),
  [`GET ${A}/workers/workers/:script/versions`]: read,
  [`GET ${A}/workers/workers/:script/versions/:version`]: read,
  [`PATCH ${A}/workers/workers/:script/versions/latest`]: deploy("version.upload"),
  [`GET ${A}/workers/analytics`]: readWorkers,
  [`GET ${A}/workers/analytics/:dataset`]: readWorkers,
  [`GET ${N}/analytics`]: read,
  [`GET ${N}/analytics/:dataset`]: read,
  [`GET ${A}/analytics_engine/sql`]: any,
  [`POST ${A}/analytics_engine/sql`]: refuses,

  [`GET ${Z}`]: readWorkers,
  [`POST ${Z}`]: admin("zone.create", { makes: "zone" }),
  [`GET ${Z}/:zone`]: readWorkers,
  [`DELETE ${Z}/:zone`]: admin("zone.delete"),
  [`GET ${Z}/:zone/workers/routes`]: readWorkers,
  [`POST ${Z}/:zone/workers/routes`]: deploy("route.create", { reach: "workers", makes: "route" }),
  [`GET ${Z}/:zone/workers/routes/:id`]: readWorkers,
  [`PUT ${Z}/:zone/workers/routes/:id`]: deploy("route.update", { reach: "workers" }),
  [`DELETE ${Z}/:zone/workers/routes/:id`]: deploy("route.delete", { reach: "workers" }),
  [`GET ${W}/routes`]: read,
  [`PUT ${W}/routes`]: deploy("script.routes"),
  [`GET ${E}/routes`]: read,
  [`GET ${A}/workers/domains`]: readWorkers,
  [`PUT ${A}/workers/domains`]: deploy("domain.create", { reach: "workers", makes: "route" }),
  [`GET ${A}/workers/domains/records`]: readWorkers,
  [`GET ${A}/workers/domains/records/:id`]: readWorkers,
  [`GET ${A}/workers/domains/:id`]: readWorkers,
  [`DELETE ${A}/workers/domains/:id`]: deploy("domain.delete", { reach: "workers" }),
  // A preview.
  [`POST ${W}/domains/changeset`]: { needs: "deploy", action: null },
  [`PUT ${W}/domains/records`]: deploy("script.domains"),

  [`GET ${A}/workers/durable_objects/namespaces`]: readOwn,
  [`GET ${A}/workers/durable_objects/namespaces/:id`]: readOwn,
  [`GET ${A}/workers/durable_objects/namespaces/:id/objects`]: readOwn,
  [`DELETE ${A}/workers/durable_objects/namespaces/:id/objects/:object`]: data,

  ...kvRules(`${A}/storage/kv/namespaces`),
  [`GET ${N}/usage`]: read,
  [`GET ${A}/workers/usage`]: readWorkers,
  ...d1Rules(`${A}/d1/database`),
  ...queueRules(`${A}/queues`),
  ...workflowRules(`${A}/workflows`),
};

/** What is in a namespace is no matter of the audit log: functions change it without end. */
function kvRules(all: string): Record<string, Rule> {
  const one = `${all}/:kv`;
  const make = (action: string) => deploy(action, { reach: "namespaces" });
  const data: Rule = { needs: "data", reach: "namespaces" };
  const write: Rule = { ...data, action: null };
  return {
    [`GET ${all}`]: readOwn,
    [`POST ${all}`]: make("kv.create"),
    [`GET ${one}`]: readOwn,
    [`PUT ${one}`]: make("kv.rename"),
    [`DELETE ${one}`]: make("kv.delete"),
    [`GET ${one}/keys`]: data,
    [`GET ${one}/values/:key`]: data,
    [`PUT ${one}/values/:key`]: write,
    [`DELETE ${one}/values/:key`]: write,
    [`GET ${one}/metadata/:key`]: data,
    [`PUT ${one}/bulk`]: write,
    [`DELETE ${one}/bulk`]: write,
    [`POST ${one}/bulk/delete`]: write,
    [`POST ${one}/bulk/get`]: write,
  };
}

/** What is in a database is no matter of the audit log: functions change it without end. */
function d1Rules(all: string): Record<string, Rule> {
  const one = `${all}/:database`;
  const make = (action: string) => deploy(action, { reach: "namespaces" });
  const data: Rule = { needs: "data", reach: "namespaces" };
  return {
    [`GET ${all}`]: readOwn,
    [`POST ${all}`]: make("d1.create"),
    [`GET ${one}`]: readOwn,
    [`PUT ${one}`]: { ...make(""), action: null },
    [`PATCH ${one}`]: { ...make(""), action: null },
    [`DELETE ${one}`]: make("d1.delete"),
    [`POST ${one}/query`]: { ...data, action: null },
    [`POST ${one}/raw`]: { ...data, action: null },
    [`POST ${one}/import`]: { ...data, action: "d1.import" },
    [`POST ${one}/export`]: { ...data, action: null },
    [`GET ${one}/time_travel/bookmark`]: data,
    [`POST ${one}/time_travel/restore`]: { ...data, action: "d1.restore" },
  };
}

function r2Rules(): Record<string, Rule> {
  const all = `${A}/r2/buckets`;
  const bucket = `${all}/:bucket`;
  const notified = `${A}/event_notifications/r2/:bucket/configuration`;
  return {
    [`GET ${all}`]: readOwn,
    [`POST ${all}`]: deployOwn("r2.create"),
    [`GET ${bucket}`]: readOwn,
    [`PATCH ${bucket}`]: deployOwn("r2.change"),
    [`DELETE ${bucket}`]: deployOwn("r2.delete"),
    [`GET ${bucket}/cors`]: readOwn,
    [`PUT ${bucket}/cors`]: deployOwn("r2.cors"),
    [`DELETE ${bucket}/cors`]: deployOwn("r2.cors"),
    [`GET ${bucket}/lifecycle`]: readOwn,
    [`PUT ${bucket}/lifecycle`]: deployOwn("r2.lifecycle"),
    [`GET ${bucket}/objects`]: readData,
    [`GET ${bucket}/objects/:key{.+}`]: readData,
    [`PUT ${bucket}/objects/:key{.+}`]: data,
    [`DELETE ${bucket}/objects/:key{.+}`]: data,
    [`GET ${notified}`]: readOwn,
    [`GET ${notified}/queues/:queue`]: readOwn,
    [`PUT ${notified}/queues/:queue`]: deployOwn("r2.notifications"),
    [`DELETE ${notified}/queues/:queue`]: deployOwn("r2.notifications"),
    // Figures of buckets that the token may see.
    [`POST ${V4}/graphql`]: { ...readOwn, action: null },
  };
}

/** What instances are given and give is what functions keep. */
function workflowRules(workflows: string): Record<string, Rule> {
  const workflow = `${workflows}/:workflow`;
  const instances = `${workflow}/instances`;
  const instance = `${instances}/:instance`;
  return {
    [`GET ${workflows}`]: readOwn,
    [`GET ${workflow}`]: readOwn,
    [`PUT ${workflow}`]: deployOwn("workflow.settings"),
    [`DELETE ${workflow}`]: deployOwn("workflow.delete"),
    [`GET ${workflow}/versions`]: readOwn,
    [`GET ${instances}`]: readData,
    [`POST ${instances}`]: data,
    [`POST ${instances}/batch`]: data,
    [`POST ${instances}/batch/delete`]: data,
    [`PUT ${instances}/terminate`]: data,
    [`GET ${instance}`]: readData,
    [`PATCH ${instance}/status`]: data,
    [`POST ${instance}/events/:event`]: data,
  };
}

function queueRules(queues: string): Record<string, Rule> {
  const queue = `${queues}/:queue`;
  const reach = "namespaces";
  const data = (action: string | null): Rule => ({ needs: "data", reach, action });
  return {
    [`GET ${queues}`]: readOwn,
    [`POST ${queues}`]: deploy("queue.create", { reach }),
    [`GET ${queue}`]: readOwn,
    [`PUT ${queue}`]: deploy("queue.settings", { reach }),
    [`PATCH ${queue}`]: deploy("queue.settings", { reach }),
    [`DELETE ${queue}`]: deploy("queue.delete", { reach }),
    [`GET ${queue}/consumers`]: readOwn,
    [`POST ${queue}/consumers`]: deploy("queue.consumer", { reach }),
    [`GET ${queue}/consumers/:consumer`]: readOwn,
    [`PUT ${queue}/consumers/:consumer`]: deploy("queue.consumer", { reach }),
    [`DELETE ${queue}/consumers/:consumer`]: deploy("queue.consumer", { reach }),
    // Messages are many, and say themselves what came.
    [`POST ${queue}/messages`]: data(null),
    [`POST ${queue}/messages/batch`]: data(null),
    [`POST ${queue}/messages/pull`]: data(null),
    [`POST ${queue}/messages/ack`]: data(null),
    [`POST ${queue}/messages/peek`]: data(null),
    [`POST ${queue}/messages/purge`]: data("queue.purge"),
    [`GET ${queue}/purge`]: readOwn,
    [`POST ${queue}/purge`]: data("queue.purge"),
    [`GET ${queue}/metrics`]: readOwn,
  };
}

function tokenRules(tokens: string): Record<string, Rule> {
  return {
    [`GET ${tokens}`]: adminRead,
    [`POST ${tokens}`]: admin("token.create", { makes: "token" }),
    [`GET ${tokens}/permission_groups`]: any,
    [`GET ${tokens}/:token`]: adminRead,
    [`DELETE ${tokens}/:token`]: admin("token.delete"),
    [`PUT ${tokens}/:token/value`]: admin("token.roll"),
  };
}

/** Of a script, or of a namespace. Ending a tail is no change that anybody has to find. */
function tailRules(path: string): Record<string, Rule> {
  return {
    [`POST ${path}/tails`]: { ...tail, action: "tail.start" },
    [`GET ${path}/tails`]: tail,
    [`DELETE ${path}/tails/:tail`]: { ...tail, action: null },
  };
}

/** Of user Workers and account Workers alike. */
function scriptRules(script: string): Record<string, Rule> {
  return {
    [`PUT ${script}`]: deploy("script.deploy"),
    [`GET ${script}/changes`]: read,
    [`POST ${script}/changes`]: deploy("changes.create"),
    [`PUT ${script}/changes`]: deploy("changes.update"),
    [`GET ${script}/changes/:feed`]: read,
    [`DELETE ${script}/changes/:feed`]: deploy("changes.delete"),
    [`PUT ${script}/changes/:feed/position`]: deploy("changes.position"),
    [`POST ${script}/rollout`]: deploy("rollout.start"),
    [`GET ${script}/rollout`]: read,
    [`DELETE ${script}/rollout`]: deploy("rollout.abort"),
    [`POST ${script}/rollout/promote`]: deploy("rollout.promote"),
    [`GET ${script}`]: read,
    [`DELETE ${script}`]: deploy("script.delete"),
    [`PUT ${script}/content`]: deploy("script.deploy"),
    [`GET ${script}/content`]: read,
    [`PATCH ${script}/settings`]: deploy("script.settings"),
    [`GET ${script}/settings`]: read,
    [`GET ${script}/bindings`]: read,
    [`PUT ${script}/secrets`]: deploy("secret.put"),
    [`GET ${script}/secrets`]: read,
    [`DELETE ${script}/secrets/:secret`]: deploy("secret.delete"),
    [`GET ${script}/secrets/:secret`]: read,
    [`PATCH ${script}/secrets-bulk`]: deploy("secrets.change"),
    [`PUT ${script}/tags`]: deploy("script.tags"),
    [`GET ${script}/tags`]: read,
    [`PUT ${script}/tags/:tag`]: deploy("script.tags"),
    [`DELETE ${script}/tags/:tag`]: deploy("script.tags"),
    ...tailRules(script),
    [`GET ${script}/logs`]: tail,
    [`GET ${script}/limits`]: read,
    [`PUT ${script}/limits`]: admin("script.limits"),
    [`GET ${script}/placement`]: read,
    [`GET ${script}/metrics`]: read,
    [`POST ${script}/assets-upload-session`]: deploy("assets.upload"),
    [`GET ${script}/versions`]: read,
    [`POST ${script}/versions`]: deploy("version.upload"),
    [`GET ${script}/versions/:version`]: read,
    [`GET ${script}/deployments`]: read,
    [`POST ${script}/deployments`]: deploy("deployment.create"),
    [`GET ${script}/deployments/:deployment`]: read,
    [`DELETE ${script}/deployments/:deployment`]: deploy("deployment.delete"),
    [`GET ${script}/script-settings`]: read,
    [`PATCH ${script}/script-settings`]: deploy("script.settings"),
    [`GET ${script}/schedules`]: read,
    [`PUT ${script}/schedules`]: deploy("script.schedules"),
    [`GET ${script}/schedules/runs`]: read,
    [`GET ${script}/invocations/config`]: read,
    [`PUT ${script}/invocations/config`]: deploy("script.invocations"),
    // It changes what the function changes.
    [`POST ${script}/invocations`]: { needs: "data", action: null },
    [`GET ${script}/invocations`]: { needs: "data" },
    [`GET ${script}/invocations/:invocation`]: { needs: "data" },
  };
}

/** Of the route that will answer. null: there is none. Its rule is missing only while somebody writes a new route. */
export function ruleOf(c: ApiContext): { path: string; rule: Rule } | null {
  // Middleware is registered for all methods, a handler for one.
  const route = matchedRoutes(c).find(({ method }) => method !== "ALL");
  if (route === undefined) return null;
  const name = `${route.method} ${route.path}`;
  const rule = Object.hasOwn(RULES, name) ? RULES[name] : undefined;
  if (rule === undefined) throw new Error(`${name} is not in src/api/permissions.ts`);
  return { path: route.path, rule };
}

/** The parameters of the path, also where middleware does not see them yet. Not decoded: names need no escapes. */
export function pathParam(c: ApiContext, path: string, name: string): string | undefined {
  const index = path.split("/").indexOf(`:${name}`);
  return index === -1 ? undefined : c.req.path.split("/")[index];
}
