/**
 * The API's table of contents, in the order of Cloudflare's documentation. Every path is one of
 * Cloudflare's v4 API unless it is marked as ours.
 */
import { Hono } from "hono";
import { routeAccountWorkers, routeVersions } from "./account-routes.ts";
import * as analytics from "./analytics.ts";
import { listAuditLogs, recordChanges } from "./audit.ts";
import * as assets from "./assets/upload-session.ts";
import { authenticate, authorize } from "./auth.ts";
import * as content from "./content.ts";
import type { Api } from "./context.ts";
import { routeD1, routeD1Files } from "./d1/routes.ts";
import { onError, onNoRoute } from "./errors.ts";
import { routeKv } from "./kv/routes.ts";
import * as limits from "./limits.ts";
import * as logs from "./logs.ts";
import * as metrics from "./metrics.ts";
import * as namespaces from "./namespaces.ts";
import * as openapi from "./openapi/serve.ts";
import { normalizePath } from "./path.ts";
import * as placement from "./placement.ts";
import { routeR2 } from "./r2/routes.ts";
import { readRefusedBodies } from "./refused-bodies.ts";
import * as routes from "./routes.ts";
import { serveS3 } from "./s3/serve.ts";
import * as scripts from "./scripts.ts";
import * as secrets from "./secrets.ts";
import * as settings from "./settings.ts";
import * as tags from "./tags.ts";
import * as tails from "./tails.ts";
import * as tokens from "./tokens.ts";
import * as user from "./user.ts";
import { getUsage } from "./usage.ts";
import { routeQueues } from "./queues/routes.ts";
import { routeWorkflows } from "./workflows/routes.ts";
import { routeZones } from "./zone-paths.ts";

const V4 = "/client/v4";
const ACCOUNT = `${V4}/accounts/:account`;
const NAMESPACES = `${ACCOUNT}/workers/dispatch/namespaces`;
const NAMESPACE = `${NAMESPACES}/:namespace`;
const SCRIPT = `${NAMESPACE}/scripts/:script`;
const ROUTES = `${ACCOUNT}/workers/dispatch/routes`;

export const app = new Hono<Api>({ getPath: ({ url }) => normalizePath(url) });
app.onError(onError);
app.notFound(onNoRoute);

// Ours: whether the hub answers. No token needed.
app.get("/healthz", (c) => c.text("ok"));

app.use(readRefusedBodies);

// Ours: whatever is signed as requests to S3 are is one
app.use(serveS3);

// Contents of static assets come with the token of an upload session instead of an API token.
app.post(`${ACCOUNT}/workers/assets/upload`, assets.uploadAssets);
app.post(`${ACCOUNT}/workers/assets/upload/:hash`, assets.uploadAsset);

// Ours: the WebSocket of a tail, whose URL is its credential
app.get("/tails/:tail", tails.connectTail);

routeD1Files(app);

app.use(authenticate);
app.use(authorize);
app.use(recordChanges);

// Ours: what this API serves, as OpenAPI
app.get(`${V4}/openapi.json`, openapi.getDocument);

// User and accounts
app.get(`${V4}/user/tokens/verify`, user.verifyToken);
app.get(`${V4}/user`, user.getUser);
app.get(`${V4}/accounts`, user.listAccounts);
app.get(`${V4}/memberships`, user.listMemberships);
app.get(ACCOUNT, user.getAccount);

// API tokens, and what was done with them
app.get(`${ACCOUNT}/tokens/verify`, user.verifyAccountToken);
for (const path of [`${V4}/user/tokens`, `${ACCOUNT}/tokens`]) {
  app.get(path, tokens.listTokens);
  app.post(path, tokens.createToken);
  app.get(`${path}/permission_groups`, tokens.listPermissionGroups);
  app.get(`${path}/:token`, tokens.getToken);
  app.delete(`${path}/:token`, tokens.deleteToken);
  app.put(`${path}/:token/value`, tokens.rollToken);
}
app.get(`${ACCOUNT}/audit_logs`, listAuditLogs);

// Workers for Platforms: dispatch namespaces
app.post(NAMESPACES, namespaces.createNamespace);
app.get(NAMESPACES, namespaces.listNamespaces);
app.get(NAMESPACE, namespaces.getNamespace);
app.put(NAMESPACE, namespaces.updateNamespace);
app.patch(NAMESPACE, namespaces.updateNamespace);
app.delete(NAMESPACE, namespaces.deleteNamespace);

// Workers for Platforms: scripts of a namespace
app.get(`${NAMESPACE}/scripts`, scripts.listScripts);
app.delete(`${NAMESPACE}/scripts`, scripts.deleteScripts);
app.put(SCRIPT, scripts.putScript);
app.get(SCRIPT, scripts.getScript);
app.delete(SCRIPT, scripts.deleteScript);
app.put(`${SCRIPT}/content`, content.putContent);
app.get(`${SCRIPT}/content`, content.getContent);
app.patch(`${SCRIPT}/settings`, settings.patchSettings);
app.get(`${SCRIPT}/settings`, settings.getSettings);
app.get(`${SCRIPT}/bindings`, settings.listBindings);
app.put(`${SCRIPT}/secrets`, secrets.putSecret);
app.get(`${SCRIPT}/secrets`, secrets.listSecrets);
app.delete(`${SCRIPT}/secrets/:secret`, secrets.deleteSecret);
app.get(`${SCRIPT}/secrets/:secret`, secrets.getSecret);
app.patch(`${SCRIPT}/secrets-bulk`, secrets.patchSecrets);
app.put(`${SCRIPT}/tags`, tags.putTags);
app.get(`${SCRIPT}/tags`, tags.listTags);
app.put(`${SCRIPT}/tags/:tag`, tags.putTag);
app.delete(`${SCRIPT}/tags/:tag`, tags.deleteTag);

// Tails and logs
for (const script of [`${ACCOUNT}/workers/scripts/:script`, SCRIPT]) {
  app.post(`${script}/tails`, tails.createTail);
  app.get(`${script}/tails`, tails.listTails);
  app.delete(`${script}/tails/:tail`, tails.deleteTail);
  // Ours
  app.get(`${script}/logs`, logs.getLogs);
}
// Ours
app.post(`${NAMESPACE}/tails`, tails.createTail);
app.get(`${NAMESPACE}/tails`, tails.listTails);
app.delete(`${NAMESPACE}/tails/:tail`, tails.deleteTail);

// Ours: limits, where functions run, what happened
app.get(`${NAMESPACE}/limits`, limits.getNamespaceLimits);
app.put(`${NAMESPACE}/limits`, limits.putNamespaceLimits);
app.get(`${NAMESPACE}/usage`, getUsage);
app.get(`${SCRIPT}/limits`, limits.getScriptLimits);
app.put(`${SCRIPT}/limits`, limits.putScriptLimits);
app.get(`${SCRIPT}/placement`, placement.getPlacement);
app.get(`${NAMESPACE}/events`, placement.listEvents);
app.get(`${ACCOUNT}/workers/events`, placement.listEvents);

// Ours: metrics
app.get("/metrics", metrics.getPrometheus);
app.get(`${NAMESPACE}/metrics`, metrics.getNamespaceMetrics);
app.get(`${ACCOUNT}/workers/metrics`, metrics.getNamespaceMetrics);
app.get(`${SCRIPT}/metrics`, metrics.getScriptMetrics);

// Zones, with routes and custom domains of account Workers
routeZones(app, `${V4}/zones`, ACCOUNT);
routeKv(app, ACCOUNT);
routeD1(app, ACCOUNT);
routeWorkflows(app, ACCOUNT);
// R2 buckets
routeR2(app, V4, ACCOUNT);

// What functions keep
routeQueues(app, ACCOUNT);

// Ours: data points that functions wrote
app.get(`${ACCOUNT}/workers/analytics`, analytics.listDatasets);
app.get(`${ACCOUNT}/workers/analytics/:dataset`, analytics.queryDataset);
app.get(`${NAMESPACE}/analytics`, analytics.listDatasets);
app.get(`${NAMESPACE}/analytics/:dataset`, analytics.queryDataset);
app.on(["GET", "POST"], `${ACCOUNT}/analytics_engine/sql`, analytics.refuseSql);

// Ours: custom routes
app.get(ROUTES, routes.listRoutes);
app.post(ROUTES, routes.createRoute);
app.get(`${ROUTES}/:id`, routes.getRoute);
app.put(`${ROUTES}/:id`, routes.updateRoute);
app.delete(`${ROUTES}/:id`, routes.deleteRoute);

// Versions and deployments of user Workers; Workers outside of a namespace
routeVersions(app, SCRIPT);
routeAccountWorkers(app, ACCOUNT);
