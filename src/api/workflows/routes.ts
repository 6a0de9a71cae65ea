/** The paths of Workflows, all of them Cloudflare's. `:workflow` is the name of an account Worker's, or any one's id. */
import type { Hono } from "hono";
import type { Api } from "../context.ts";
import * as instances from "./instances.ts";
import * as workflows from "./workflows.ts";

/** `account`: the path of one. */
export function routeWorkflows(app: Hono<Api>, account: string): void {
  const one = `${account}/workflows/:workflow`;
  const all = `${one}/instances`;
  const instance = `${all}/:instance`;
  app.get(`${account}/workflows`, workflows.listWorkflows);
  app.get(one, workflows.getWorkflow);
  app.put(one, workflows.putWorkflow);
  app.delete(one, workflows.deleteWorkflow);
  app.get(`${one}/versions`, workflows.listVersions);
  app.get(all, instances.listInstances);
  app.post(all, instances.createInstance);
  app.post(`${all}/batch`, instances.createInstances);
  app.post(`${all}/batch/delete`, instances.deleteInstances);
  app.put(`${all}/terminate`, instances.terminateInstances);
  app.get(instance, instances.getInstance);
  app.patch(`${instance}/status`, instances.changeInstance);
  app.post(`${instance}/events/:event`, instances.sendEvent);
}
