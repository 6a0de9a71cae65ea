/**
 * Products that this platform lacks: lists of them are empty, so that wrangler finds out that there is nothing to do, and
 * whatever would make one is refused with a reason.
 */
import * as z from "zod";
import { param, scriptOf, type Api, type ApiContext } from "./context.ts";
import type { Hono } from "hono";
import { ok, page } from "./envelope.ts";
import type { CodeName } from "./codes.ts";
import { ApiError } from "./errors.ts";
import { jsonBody } from "./json-body.ts";

interface Product {
  /** Below the account. */
  readonly path: string;
  readonly name: string;
  /** For one that is asked for by name or id. */
  readonly absent: CodeName;
  /** The list is in this member of the result; absent: the result is the list. */
  readonly within?: string;
}

export const PRODUCTS: readonly Product[] = [
  { path: "workflows", name: "Workflows", absent: "workflowNotFound" },
  { path: "queues", name: "Queues", absent: "notSupported" },
  { path: "storage/kv/namespaces", name: "Workers KV", absent: "notSupported" },
  { path: "r2/buckets", name: "R2 buckets", absent: "bucketNotFound", within: "buckets" },
  { path: "d1/database", name: "D1 databases", absent: "databaseNotFound" },
  { path: "hyperdrive/configs", name: "Hyperdrive", absent: "notSupported" },
  { path: "vectorize/v2/indexes", name: "Vectorize", absent: "notSupported" },
  { path: "secrets_store/stores", name: "Secrets Store", absent: "notSupported" },
  { path: "workers/durable_objects/namespaces", name: "Durable Objects", absent: "notSupported" },
];

export const schedules = z.array(z.object({ cron: z.string() }));

export function refuseProducts(app: Hono<Api>, account: string): void {
  for (const { path, name, absent, within } of PRODUCTS) {
    const refuse = (code: CodeName) => () => {
      throw new ApiError(code, `Skep has no ${name}: it is not supported by this platform.`);
    };
    const root = `${account}/${path}`;
    app.get(root, (c) => (within === undefined ? page(c, []) : ok(c, { [within]: [] })));
    app.get(`${root}/*`, refuse(absent));
    app.on(["POST", "PUT", "PATCH", "DELETE"], [root, `${root}/*`], refuse("notSupported"));
  }
}

/** `GET …/scripts/{script}/schedules` */
export async function getSchedules(c: ApiContext): Promise<Response> {
  await scriptOf(c);
  return ok(c, { schedules: [] });
}

/** wrangler sends an empty list to clear them. */
export async function putSchedules(c: ApiContext): Promise<Response> {
  const [first] = await jsonBody(c, schedules);
  if (first) {
    throw new ApiError(
      "notSupported",
      `The schedule '${first.cron}' of '${param(c, "script")}' was not set: Cron Triggers are not supported by this platform yet. Remove 'crons' from the configuration, and let a cron of your own call the Worker.`,
    );
  }
  return getSchedules(c);
}
