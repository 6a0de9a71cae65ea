/**
 * The paths of Workers outside of dispatch namespaces: those that they share with user Workers under a path of their own,
 * and those that only they have. All of them are Cloudflare's unless marked as ours.
 */
import type { Hono } from "hono";
import * as accountWorkers from "./account-workers.ts";
import * as assets from "./assets/upload-session.ts";
import * as changes from "./changes.ts";
import * as content from "./content.ts";
import type { Api } from "./context.ts";
import * as deployments from "./deployments.ts";
import * as durableObjects from "./durable-objects.ts";
import * as invocations from "./invocations.ts";
import * as limits from "./limits.ts";
import * as metrics from "./metrics.ts";
import * as placement from "./placement.ts";
import * as rollouts from "./rollouts.ts";
import * as schedules from "./schedules.ts";
import * as scripts from "./scripts.ts";
import * as secrets from "./secrets.ts";
import * as services from "./services.ts";
import * as settings from "./settings.ts";
import * as subdomain from "./subdomain.ts";
import * as tags from "./tags.ts";
import { getUsage } from "./usage.ts";
import * as versions from "./versions.ts";
import * as workers from "./workers.ts";

/** Of user Workers and account Workers alike. `script`: the path of one. */
export function routeVersions(app: Hono<Api>, script: string): void {
  app.get(`${script}/versions`, versions.listVersions);
  app.post(`${script}/versions`, versions.postVersion);
  app.get(`${script}/versions/:version`, versions.getVersion);
  app.post(`${script}/assets-upload-session`, assets.openSession);
  app.get(`${script}/deployments`, deployments.listDeployments);
  app.post(`${script}/deployments`, deployments.postDeployment);
  app.get(`${script}/deployments/:deployment`, deployments.getDeployment);
  app.delete(`${script}/deployments/:deployment`, deployments.deleteDeployment);
  app.get(`${script}/script-settings`, settings.getScriptSettings);
  app.patch(`${script}/script-settings`, settings.patchScriptSettings);
  app.get(`${script}/schedules`, schedules.getSchedules);
  app.put(`${script}/schedules`, schedules.putSchedules);

  // Ours
  app.get(`${script}/changes`, changes.listChangeFeeds);
  app.post(`${script}/changes`, changes.createChangeFeed);
  app.put(`${script}/changes`, changes.putChangeFeeds);
  app.get(`${script}/changes/:feed`, changes.getChangeFeed);
  app.delete(`${script}/changes/:feed`, changes.deleteChangeFeed);
  app.put(`${script}/changes/:feed/position`, changes.putPosition);
  app.post(`${script}/rollout`, rollouts.startRollout);
  app.get(`${script}/rollout`, rollouts.getRollout);
  app.delete(`${script}/rollout`, rollouts.abortRollout);
  app.post(`${script}/rollout/promote`, rollouts.promoteRollout);
  app.get(`${script}/schedules/runs`, schedules.listRuns);
  app.get(`${script}/invocations/config`, invocations.getConfig);
  app.put(`${script}/invocations/config`, invocations.putConfig);
  app.post(`${script}/invocations`, invocations.invoke);
  app.get(`${script}/invocations`, invocations.listInvocations);
  app.get(`${script}/invocations/:invocation`, invocations.getInvocation);
}

/** `account`: the path of one. */
export function routeAccountWorkers(app: Hono<Api>, account: string): void {
  const all = `${account}/workers`;
  const script = `${all}/scripts/:script`;
  const worker = `${all}/workers/:script`;
  const service = `${all}/services/:script`;
  const environment = `${service}/environments/:environment`;

  app.get(`${all}/scripts`, accountWorkers.listAccountWorkers);
  app.get(`${all}/scripts-search`, accountWorkers.searchAccountWorkers);
  app.get(`${all}/account-settings`, accountWorkers.getAccountSettings);
  app.get(`${all}/tails/by-consumer/:script`, accountWorkers.listTailProducers);
  app.get(`${all}/subdomain`, subdomain.getSubdomain);
  app.put(`${all}/subdomain`, subdomain.refuseSubdomainChange);
  app.delete(`${all}/subdomain`, subdomain.refuseSubdomainChange);

  app.get(script, content.getContent);
  app.put(script, scripts.putScript);
  app.delete(script, scripts.deleteScript);
  app.get(`${script}/content`, content.getContent);
  app.get(`${script}/content/v2`, content.getContent);
  app.put(`${script}/content`, content.putContent);
  app.get(`${script}/settings`, settings.getSettings);
  app.patch(`${script}/settings`, settings.patchSettings);
  app.get(`${script}/bindings`, settings.listBindings);
  app.get(`${script}/secrets`, secrets.listSecrets);
  app.put(`${script}/secrets`, secrets.putSecret);
  app.get(`${script}/secrets/:secret`, secrets.getSecret);
  app.delete(`${script}/secrets/:secret`, secrets.deleteSecret);
  app.patch(`${script}/secrets-bulk`, secrets.patchSecrets);
  app.get(`${script}/tags`, tags.listTags);
  app.put(`${script}/tags`, tags.putTags);
  app.put(`${script}/tags/:tag`, tags.putTag);
  app.delete(`${script}/tags/:tag`, tags.deleteTag);
  app.get(`${script}/subdomain`, subdomain.getScriptSubdomain);
  app.post(`${script}/subdomain`, subdomain.postScriptSubdomain);
  app.delete(`${script}/subdomain`, subdomain.deleteScriptSubdomain);
  app.get(`${script}/references`, accountWorkers.listReferences);
  routeVersions(app, script);

  // Ours
  app.get(`${script}/limits`, limits.getScriptLimits);
  app.put(`${script}/limits`, limits.putScriptLimits);
  app.get(`${script}/placement`, placement.getPlacement);
  app.get(`${script}/metrics`, metrics.getScriptMetrics);

  app.get(service, services.getService);
  app.delete(service, scripts.deleteScript);
  app.get(environment, services.getEnvironment);
  app.get(`${environment}/bindings`, services.getEnvironmentBindings);
  app.get(`${environment}/subdomain`, subdomain.getScriptSubdomain);
  app.get(`${environment}/content`, content.getContent);
  app.get(`${environment}/content/v2`, content.getContent);
  app.get(`${environment}/settings`, settings.getSettings);

  app.get(`${all}/workers`, workers.listWorkers);
  app.post(`${all}/workers`, workers.refuseWorkerCreation);
  app.get(worker, workers.getWorker);
  app.put(worker, workers.updateWorker);
  app.patch(worker, workers.updateWorker);
  app.delete(worker, workers.deleteWorker);
  app.get(`${worker}/versions`, workers.listWorkerVersions);
  app.get(`${worker}/versions/:version`, workers.getWorkerVersion);
  app.patch(`${worker}/versions/latest`, workers.patchLatestVersion);

  app.get(`${all}/durable_objects/namespaces`, durableObjects.listObjectNamespaces);
  app.get(`${all}/durable_objects/namespaces/:id`, durableObjects.getObjectNamespace);
  app.get(`${all}/durable_objects/namespaces/:id/objects`, durableObjects.listObjectsOfNamespace);
  app.delete(
    `${all}/durable_objects/namespaces/:id/objects/:object`,
    durableObjects.deleteObjectOfNamespace,
  );
  app.get(`${all}/usage`, getUsage);
}
