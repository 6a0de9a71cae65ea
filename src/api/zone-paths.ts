/** The paths of zones, and of the routes and custom domains that lead from them to account Workers. All are Cloudflare's. */
import type { Hono } from "hono";
import type { Api } from "./context.ts";
import * as domains from "./domains.ts";
import * as zoneRoutes from "./zone-routes.ts";
import * as zones from "./zones.ts";

/** `account`: the path of one. `all`: that of zones. */
export function routeZones(app: Hono<Api>, all: string, account: string): void {
  const routes = `${all}/:zone/workers/routes`;
  const script = `${account}/workers/scripts/:script`;
  const hosts = `${account}/workers/domains`;

  app.get(all, zones.listZones);
  app.post(all, zones.createZone);
  app.get(`${all}/:zone`, zones.getZone);
  app.delete(`${all}/:zone`, zones.deleteZone);

  app.get(routes, zoneRoutes.listRoutes);
  app.post(routes, zoneRoutes.createRoute);
  app.get(`${routes}/:id`, zoneRoutes.getRoute);
  app.put(`${routes}/:id`, zoneRoutes.updateRoute);
  app.delete(`${routes}/:id`, zoneRoutes.deleteRoute);
  app.get(`${script}/routes`, zoneRoutes.listScriptRoutes);
  app.put(`${script}/routes`, zoneRoutes.putScriptRoutes);
  app.get(
    `${account}/workers/services/:script/environments/:environment/routes`,
    zoneRoutes.listScriptRoutes,
  );

  app.get(hosts, domains.listDomains);
  app.put(hosts, domains.putDomain);
  app.get(`${hosts}/records`, domains.listDomains);
  app.get(`${hosts}/records/:id`, domains.getDomain);
  app.get(`${hosts}/:id`, domains.getDomain);
  app.delete(`${hosts}/:id`, domains.deleteDomain);
  app.post(`${script}/domains/changeset`, domains.previewChanges);
  app.put(`${script}/domains/records`, domains.putRecords);
}
