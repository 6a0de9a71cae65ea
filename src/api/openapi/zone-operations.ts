/** Entries of operations.ts for zones (`routeZones`) and Analytics Engine. */
import * as z from "zod";
import * as domains from "../domains.ts";
import * as zoneRoutes from "../zone-routes.ts";
import * as zones from "../zones.ts";
import * as answer from "./answers.ts";
import type { Operation } from "./operations.ts";
import * as report from "./report-answers.ts";

export function ofZones(v4: string, account: string): Record<string, Operation> {
  const all = `${v4}/zones`;
  const routes = `${all}/:zone/workers/routes`;
  const script = `${account}/workers/scripts/:script`;
  const hosts = `${account}/workers/domains`;
  const listed: Operation = { does: "Routes to it", result: answer.zoneRoute, list: true };
  const listedDomains: Operation = {
    does: "Custom domains",
    query: { hostname: "Of this host only", service: "Of this Worker only" },
    result: answer.domain,
    list: true,
  };
  const domain: Operation = { does: "One custom domain", result: answer.domain };
  return {
    [`GET ${all}`]: {
      does: "Zones",
      query: { name: "Of this name only" },
      result: answer.zone,
      list: true,
    },
    [`POST ${all}`]: { does: "Adds a zone", body: zones.creation, result: answer.zone },
    [`GET ${all}/:zone`]: { does: "One zone", result: answer.zone },
    [`DELETE ${all}/:zone`]: { does: "Removes a zone with its routes", result: answer.id },
    [`GET ${routes}`]: { does: "Routes of a zone", result: answer.zoneRoute, list: true },
    [`POST ${routes}`]: {
      does: "Makes a route to an account Worker",
      body: zoneRoutes.zoneRoute,
      result: answer.zoneRoute,
    },
    [`GET ${routes}/:id`]: { does: "One route", result: answer.zoneRoute },
    [`PUT ${routes}/:id`]: {
      does: "Changes a route",
      body: zoneRoutes.zoneRoute,
      result: answer.zoneRoute,
    },
    [`DELETE ${routes}/:id`]: { does: "Deletes a route", result: answer.id },
    [`GET ${script}/routes`]: listed,
    [`PUT ${script}/routes`]: {
      does: "Replaces all routes to it",
      body: zoneRoutes.scriptRoutes,
      result: z.array(answer.zoneRoute),
    },
    [`GET ${account}/workers/services/:script/environments/:environment/routes`]: listed,
    [`GET ${hosts}`]: listedDomains,
    [`PUT ${hosts}`]: { does: "Adds one", body: domains.domain, result: answer.domain },
    [`GET ${hosts}/records`]: listedDomains,
    [`GET ${hosts}/records/:id`]: domain,
    [`GET ${hosts}/:id`]: domain,
    [`DELETE ${hosts}/:id`]: { does: "Deletes one", result: answer.id },
    [`POST ${script}/domains/changeset`]: {
      does: "What these custom domains would change",
      query: { replace_state: "`true`: the list is all that it has" },
      body: z.array(domains.origin),
      result: answer.domainChanges,
    },
    [`PUT ${script}/domains/records`]: {
      does: "Sets its custom domains",
      body: domains.records,
      result: z.array(answer.domain),
    },
  };
}

export function ofAnalytics(account: string, namespace: string): Record<string, Operation> {
  const owners = [`${account}/workers`, namespace];
  const refused: Operation = { does: "Refused: there is no SQL", result: answer.nothing };
  return {
    ...Object.fromEntries(
      owners.flatMap((owner): [string, Operation][] => [
        [
          `GET ${owner}/analytics`,
          { does: "Datasets", result: report.dataset, list: true, ours: true },
        ],
        [`GET ${owner}/analytics/:dataset`, QUERY],
      ]),
    ),
    [`GET ${account}/analytics_engine/sql`]: refused,
    [`POST ${account}/analytics_engine/sql`]: refused,
  };
}

const QUERY: Operation = {
  does: "Data points, or figures of them",
  query: {
    from: "Unix time in milliseconds; the last day",
    to: "The same; now",
    select: "count, sum(double1), avg(…), min(…), max(…); none: the points themselves",
    group: "Columns (blob1 to blob20, index1), and minute, hour or day",
    where: "Such as blob1:text; as often as need be",
    limit: "At most 10,000",
  },
  result: report.dataPoints,
  ours: true,
};
