/**
 * What every route of app.ts does, for the OpenAPI document: one entry a route, under the very method and path
 * that app.ts has. A route without an entry fails `openapi.workerd.test.ts`, and so does an entry without a
 * route.
 */
import type * as z from "zod";
import * as deployments from "../deployments.ts";
import * as limitRules from "../limit-rules.ts";
import * as namespaces from "../namespaces.ts";
import * as routes from "../routes.ts";
import * as secrets from "../secrets.ts";
import * as subdomain from "../subdomain.ts";
import * as tags from "../tags.ts";
import { schema as metadata } from "../upload/metadata.ts";
import * as workers from "../workers.ts";
import * as answer from "./answers.ts";
import { ofKv } from "./kv-operations.ts";
import { ofD1 } from "./d1-operations.ts";
import { ofScriptEvents } from "./event-operations.ts";
import { ofAssets, ofChanges, ofRollouts, ofTails, ofTokens } from "./owner-operations.ts";
import { ofR2 } from "./r2-operations.ts";
import * as report from "./report-answers.ts";
import { ofQueues } from "./queue-operations.ts";
import { ofWorkflows } from "./workflow-operations.ts";
import { ofAnalytics, ofZones } from "./zone-operations.ts";

export interface Operation {
  readonly does: string;
  /** A JSON body. */
  readonly body?: z.ZodType;
  /** A form: this object as JSON in the part `metadata` or `settings`, and files beside it. */
  readonly form?: { readonly part: "metadata" | "settings"; readonly schema: z.ZodType };
  readonly query?: Readonly<Record<string, string>>;
  /** `result` of the envelope; a list is paged. Absent: the answer has no envelope. */
  readonly result?: z.ZodType;
  readonly list?: boolean;
  /** Of an answer without an envelope. */
  readonly contentType?: string;
  /** Not one of Cloudflare's. */
  readonly ours?: true;
}

const V4 = "/client/v4";
const ACCOUNT = `${V4}/accounts/:account`;
const NAMESPACES = `${ACCOUNT}/workers/dispatch/namespaces`;
const NAMESPACE = `${NAMESPACES}/:namespace`;
const SCRIPT = `${NAMESPACE}/scripts/:script`;
const ROUTES = `${ACCOUNT}/workers/dispatch/routes`;

const TAGS = {
  tags: "Only scripts with (`a:yes`) or without (`b:no`) these tags, comma separated",
};
const RANGE = {
  since: "Begin, as a time or a duration such as 1h",
  until: "End; now by default",
};

const IN_NAMESPACES: Readonly<Record<string, Operation>> = {
  "GET /healthz": { does: "Whether the hub answers", contentType: "text/plain", ours: true },
  [`GET ${V4}/openapi.json`]: {
    does: "This document",
    contentType: "application/json",
    ours: true,
  },

  [`GET ${V4}/user/tokens/verify`]: { does: "Checks the token", result: answer.verifiedToken },
  [`GET ${V4}/user`]: { does: "The token's owner", result: answer.user },
  [`GET ${V4}/accounts`]: { does: "The token's account", result: answer.account, list: true },
  [`GET ${V4}/memberships`]: { does: "The same account", result: answer.membership, list: true },
  [`GET ${ACCOUNT}`]: { does: "The account", result: answer.account },

  [`POST ${NAMESPACES}`]: {
    does: "Makes a dispatch namespace",
    body: namespaces.creation,
    result: answer.namespace,
  },
  [`GET ${NAMESPACES}`]: { does: "All dispatch namespaces", result: answer.namespace, list: true },
  [`GET ${NAMESPACE}`]: { does: "One dispatch namespace", result: answer.namespace },
  [`PUT ${NAMESPACE}`]: {
    does: "Renames or changes a dispatch namespace; what is absent stays",
    body: namespaces.change,
    result: answer.namespace,
  },
  [`PATCH ${NAMESPACE}`]: {
    does: "As PUT",
    body: namespaces.change,
    result: answer.namespace,
  },
  [`DELETE ${NAMESPACE}`]: {
    does: "Deletes a dispatch namespace with its scripts",
    result: answer.nothing,
  },

  [`GET ${NAMESPACE}/scripts`]: {
    does: "User Workers",
    query: TAGS,
    result: answer.namespacedScript,
    list: true,
  },
  [`DELETE ${NAMESPACE}/scripts`]: {
    does: "Deletes user Workers by their tags",
    query: TAGS,
    result: answer.ids,
  },
  [`PUT ${SCRIPT}`]: {
    does: "Uploads and deploys a user Worker",
    query: { bindings_inherit: "`strict`: an inherited binding must exist" },
    form: { part: "metadata", schema: metadata },
    result: answer.script,
  },
  [`GET ${SCRIPT}`]: { does: "A user Worker", result: answer.namespacedScript },
  [`DELETE ${SCRIPT}`]: { does: "Deletes a user Worker", result: answer.nothing },
  [`PUT ${SCRIPT}/content`]: {
    does: "Replaces the modules of a user Worker",
    form: { part: "metadata", schema: metadata },
    result: answer.script,
  },
  [`GET ${SCRIPT}/content`]: {
    does: "The modules in force: one as it is, several as a form",
    contentType: "application/octet-stream",
  },
  [`PATCH ${SCRIPT}/settings`]: {
    does: "Changes settings and bindings",
    form: { part: "settings", schema: metadata },
    result: answer.settings,
  },
  [`GET ${SCRIPT}/settings`]: { does: "Settings and bindings", result: answer.settings },
  [`GET ${SCRIPT}/bindings`]: { does: "Bindings", result: answer.binding, list: true },
  [`PUT ${SCRIPT}/secrets`]: {
    does: "Sets a secret",
    body: secrets.secret,
    result: answer.secretName,
  },
  [`GET ${SCRIPT}/secrets`]: { does: "Names of secrets", result: answer.secretName, list: true },
  [`DELETE ${SCRIPT}/secrets/:secret`]: { does: "Removes a secret", result: answer.nothing },
  [`GET ${SCRIPT}/secrets/:secret`]: { does: "One secret's name", result: answer.secretName },
  [`PATCH ${SCRIPT}/secrets-bulk`]: {
    does: "Sets and, by null, removes secrets",
    body: secrets.bulk,
    result: answer.secretNames,
  },
  [`PUT ${SCRIPT}/tags`]: {
    does: "Replaces the tags",
    body: tags.list,
    result: answer.tag,
    list: true,
  },
  [`GET ${SCRIPT}/tags`]: { does: "Tags", result: answer.tag, list: true },
  [`PUT ${SCRIPT}/tags/:tag`]: { does: "Adds a tag", result: answer.tags },
  [`DELETE ${SCRIPT}/tags/:tag`]: { does: "Removes a tag", result: answer.nothing },

  [`GET ${NAMESPACE}/limits`]: { does: "Limits", result: answer.limits, ours: true },
  [`PUT ${NAMESPACE}/limits`]: {
    does: "Replaces the limits of all functions of a namespace",
    body: limitRules.settings,
    result: answer.limits,
    ours: true,
  },
  [`GET ${SCRIPT}/limits`]: { does: "Limits", result: answer.limits, ours: true },
  [`PUT ${SCRIPT}/limits`]: {
    does: "Replaces the limits of a function",
    body: limitRules.settings,
    result: answer.limits,
    ours: true,
  },
  [`GET ${SCRIPT}/placement`]: {
    does: "Where a function runs and why",
    result: answer.placement,
    ours: true,
  },
  [`GET ${NAMESPACE}/events`]: {
    does: "Processes lost over functions, newest first",
    query: { script: "Of this script only", since: "Not before", limit: "At most; 100 by default" },
    result: answer.incident,
    list: true,
    ours: true,
  },

  "GET /metrics": { does: "Metrics for Prometheus", contentType: "text/plain", ours: true },
  [`GET ${NAMESPACE}/metrics`]: {
    does: "Metrics of all functions of a namespace",
    query: RANGE,
    result: report.namespaceMetrics,
    ours: true,
  },
  [`GET ${ACCOUNT}/workers/events`]: {
    does: "The same of Workers outside of namespaces",
    query: { script: "Of this script only", since: "Not before", limit: "At most; 100 by default" },
    result: answer.incident,
    list: true,
    ours: true,
  },
  [`GET ${ACCOUNT}/workers/metrics`]: {
    does: "Metrics of all Workers outside of namespaces",
    query: RANGE,
    result: report.namespaceMetrics,
    ours: true,
  },
  [`GET ${SCRIPT}/metrics`]: {
    does: "Metrics of a function",
    query: { ...RANGE, step: "Width of the points, such as 5m" },
    result: report.scriptMetrics,
    ours: true,
  },

  [`GET ${ROUTES}`]: { does: "Custom routes", result: answer.route, list: true, ours: true },
  [`POST ${ROUTES}`]: {
    does: "Makes a custom route",
    body: routes.body,
    result: answer.route,
    ours: true,
  },
  [`GET ${ROUTES}/:id`]: { does: "One custom route", result: answer.route, ours: true },
  [`PUT ${ROUTES}/:id`]: {
    does: "Changes a custom route",
    body: routes.body,
    result: answer.route,
    ours: true,
  },
  [`DELETE ${ROUTES}/:id`]: { does: "Deletes a custom route", result: answer.nothing, ours: true },
};

const SCRIPTS = [SCRIPT, `${ACCOUNT}/workers/scripts/:script`];

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...IN_NAMESPACES,
  ...ofVersions(SCRIPT),
  ...ofAccountWorkers(),
  ...ofZones(V4, ACCOUNT),
  ...ofKv(ACCOUNT),
  ...ofD1(ACCOUNT),
  ...ofQueues(ACCOUNT),
  ...ofWorkflows(ACCOUNT),
  ...ofAnalytics(ACCOUNT, NAMESPACE),
  ...ofR2(V4, ACCOUNT),
  ...ofTokens(V4, ACCOUNT),
  ...ofAssets(ACCOUNT, SCRIPTS),
  ...ofRollouts(SCRIPTS),
  ...ofChanges(SCRIPTS),
  ...ofTails(NAMESPACE, SCRIPTS),
};

/** As `routeVersions`. */
function ofVersions(script: string): Record<string, Operation> {
  return {
    [`GET ${script}/versions`]: { does: "Versions, newest first", result: answer.versions },
    [`POST ${script}/versions`]: {
      does: "Uploads a version without deploying it",
      query: { bindings_inherit: "`strict`: an inherited binding must exist" },
      form: { part: "metadata", schema: metadata },
      result: answer.version,
    },
    [`GET ${script}/versions/:version`]: { does: "One version", result: answer.version },
    [`GET ${script}/deployments`]: {
      does: "Deployments, newest first; the first is in force",
      result: answer.deployments,
    },
    [`POST ${script}/deployments`]: {
      does: "Divides the traffic among versions",
      query: { force: "`true`: also if the version has other secrets" },
      body: deployments.deployment,
      result: answer.deployment,
    },
    [`GET ${script}/deployments/:deployment`]: {
      does: "One deployment",
      result: answer.deployment,
    },
    [`DELETE ${script}/deployments/:deployment`]: {
      does: "Deletes a deployment that is not in force",
      result: answer.nothing,
    },
    [`GET ${script}/script-settings`]: {
      does: "Settings that belong to no version",
      result: answer.scriptSettings,
    },
    [`PATCH ${script}/script-settings`]: {
      does: "Changes them",
      body: metadata,
      result: answer.scriptSettings,
    },
    ...ofScriptEvents(script),
  };
}

/** As `routeAccountWorkers`. */
function ofAccountWorkers(): Record<string, Operation> {
  const all = `${ACCOUNT}/workers`;
  const script = `${all}/scripts/:script`;
  const worker = `${all}/workers/:script`;
  const service = `${all}/services/:script`;
  const environment = `${service}/environments/:environment`;
  const code: Operation = {
    does: "The modules in force: one as it is, several as a form",
    contentType: "application/octet-stream",
  };
  return {
    [`GET ${all}/scripts`]: { does: "Account Workers", result: answer.script, list: true },
    [`GET ${all}/scripts-search`]: {
      does: "Account Workers by name or id",
      query: { name: "Part of the name", id: "The id", order_by: "name, created_on, modified_on" },
      result: answer.foundScript,
      list: true,
    },
    [`GET ${all}/account-settings`]: { does: "Of all Workers", result: answer.accountSettings },
    [`GET ${all}/tails/by-consumer/:script`]: {
      does: "Whose tail consumer a Worker is",
      result: answer.tailProducer,
      list: true,
    },
    [`GET ${all}/subdomain`]: { does: "In the host names of Workers", result: answer.subdomain },
    [`PUT ${all}/subdomain`]: { does: "Refused: it cannot be changed", result: answer.nothing },
    [`DELETE ${all}/subdomain`]: { does: "Refused: it cannot be changed", result: answer.nothing },

    [`GET ${script}`]: code,
    [`PUT ${script}`]: {
      does: "Uploads and deploys an account Worker",
      query: { bindings_inherit: "`strict`: an inherited binding must exist" },
      form: { part: "metadata", schema: metadata },
      result: answer.script,
    },
    [`DELETE ${script}`]: { does: "Deletes an account Worker", result: answer.nothing },
    [`GET ${script}/content/v2`]: code,
    ...sameAsInNamespaces(script, [
      "GET content",
      "PUT content",
      "GET settings",
      "PATCH settings",
      "GET bindings",
      "GET secrets",
      "PUT secrets",
      "GET secrets/:secret",
      "DELETE secrets/:secret",
      "PATCH secrets-bulk",
      "GET tags",
      "PUT tags",
      "PUT tags/:tag",
      "DELETE tags/:tag",
      "GET limits",
      "PUT limits",
      "GET placement",
      "GET metrics",
    ]),
    [`GET ${script}/subdomain`]: {
      does: "Whether its own host name leads to it",
      result: answer.scriptSubdomain,
    },
    [`POST ${script}/subdomain`]: {
      does: "Turns its own host name, and those of previews, on or off",
      body: subdomain.change,
      result: answer.scriptSubdomain,
    },
    [`DELETE ${script}/subdomain`]: { does: "Turns both off", result: answer.scriptSubdomain },
    [`GET ${script}/references`]: { does: "What depends on it", result: answer.references },
    ...ofVersions(script),

    [`GET ${service}`]: { does: "An account Worker as a service", result: answer.service },
    [`DELETE ${service}`]: { does: "Deletes it", result: answer.nothing },
    [`GET ${environment}`]: { does: "Its one environment", result: answer.environment },
    [`GET ${environment}/bindings`]: { does: "Bindings", result: answer.binding, list: true },
    [`GET ${environment}/subdomain`]: {
      does: "Whether its own host name leads to it",
      result: answer.scriptSubdomain,
    },
    [`GET ${environment}/content`]: code,
    [`GET ${environment}/content/v2`]: code,
    [`GET ${environment}/settings`]: { does: "Settings and bindings", result: answer.settings },

    [`GET ${all}/durable_objects/namespaces`]: {
      does: "Classes of Durable Objects",
      result: answer.objectNamespace,
      list: true,
    },
    [`GET ${all}/durable_objects/namespaces/:id`]: {
      does: "A class of Durable Objects",
      result: answer.objectNamespace,
      ours: true,
    },
    [`GET ${all}/durable_objects/namespaces/:id/objects`]: {
      does: "Its objects that have stored something, by id",
      query: { limit: "How many, 10 to 10000", cursor: "From the list before" },
      result: answer.durableObject,
      list: true,
    },
    [`DELETE ${all}/durable_objects/namespaces/:id/objects/:object`]: {
      does: "Deletes an object with all that it has stored",
      result: answer.nothing,
      ours: true,
    },

    [`GET ${all}/workers`]: { does: "Account Workers", result: answer.worker, list: true },
    [`POST ${all}/workers`]: { does: "Refused: upload a version", result: answer.nothing },
    [`GET ${worker}`]: { does: "An account Worker", result: answer.worker },
    [`PUT ${worker}`]: { does: "As PATCH", body: workers.workerPatch, result: answer.worker },
    [`PATCH ${worker}`]: {
      does: "Changes what belongs to no version",
      body: workers.workerPatch,
      result: answer.worker,
    },
    [`DELETE ${worker}`]: { does: "Deletes it", result: answer.nothing },
    [`GET ${worker}/versions`]: { does: "Versions", result: answer.workerVersion, list: true },
    [`GET ${worker}/versions/:version`]: {
      does: "A version by id, or `latest`",
      result: answer.workerVersion,
    },
    [`PATCH ${worker}/versions/latest`]: {
      does: "Secrets of the newest version, in a new one",
      body: workers.latestPatch,
      result: answer.version,
    },
  };
}

/** `calls`: method and what follows the path of a script. */
function sameAsInNamespaces(script: string, calls: readonly string[]): Record<string, Operation> {
  return Object.fromEntries(
    calls.map((call) => {
      const [method, rest] = call.split(" ");
      const operation = IN_NAMESPACES[`${method} ${SCRIPT}/${rest}`];
      if (operation === undefined) throw new Error(`user Workers have no ${call}`);
      return [`${method} ${script}/${rest}`, operation];
    }),
  );
}
