/** CORS and lifecycle rules of a bucket. They are its settings; the S3 API and the store act on them. */
import * as z from "zod";
import { DEFAULT_LIFECYCLE } from "../../protocol/r2-rules.ts";
import type { ApiContext } from "../context.ts";
import { ok } from "../envelope.ts";
import { ApiError } from "../errors.ts";
import { jsonBody } from "../json-body.ts";
import { bucketOf, changeSettings } from "./buckets.ts";

const METHODS = ["GET", "PUT", "POST", "DELETE", "HEAD"] as const;
const MAX_RULES = 1000;

const corsRule = z.object({
  id: z.string().optional(),
  allowed: z.object({
    origins: z.array(z.string()).min(1),
    methods: z.array(z.enum(METHODS)).min(1),
    headers: z.array(z.string()).optional(),
  }),
  exposeHeaders: z.array(z.string()).optional(),
  maxAgeSeconds: z.number().int().min(0).max(86_400).optional(),
});
export type CorsRule = z.output<typeof corsRule>;

export const corsPolicy = z.object({ rules: z.array(corsRule).min(1).max(100) });

const age = z.object({ type: z.literal("Age"), maxAge: z.number().int().min(1) });
const condition = z.discriminatedUnion("type", [
  age,
  z.object({
    type: z.literal("Date"),
    date: z.string().refine((date) => !Number.isNaN(Date.parse(date)), "is no date"),
  }),
]);

const lifecycleRule = z.object({
  id: z.string(),
  enabled: z.boolean(),
  conditions: z.object({ prefix: z.string().optional() }).optional(),
  deleteObjectsTransition: z.object({ condition }).optional(),
  abortMultipartUploadsTransition: z.object({ condition: age }).optional(),
  storageClassTransitions: z
    .array(z.unknown())
    .max(0, "is not supported: this platform keeps objects of both storage classes alike")
    .optional(),
});

export const lifecycle = z.object({ rules: z.array(lifecycleRule).max(MAX_RULES).optional() });

export async function getCors(c: ApiContext): Promise<Response> {
  const { settings, name } = await bucketOf(c);
  const rules = settings["cors"];
  if (rules === undefined) {
    throw new ApiError("noCorsPolicy", `The CORS configuration of '${name}' does not exist.`);
  }
  return ok(c, { rules });
}

export async function putCors(c: ApiContext): Promise<Response> {
  const bucket = await bucketOf(c);
  const { rules } = await jsonBody(c, corsPolicy);
  await changeSettings(c, bucket, { cors: rules });
  return ok(c, {});
}

export async function deleteCors(c: ApiContext): Promise<Response> {
  await changeSettings(c, await bucketOf(c), { cors: null });
  return ok(c, {});
}

export async function getLifecycle(c: ApiContext): Promise<Response> {
  const { settings } = await bucketOf(c);
  return ok(c, { rules: settings["lifecycle"] ?? DEFAULT_LIFECYCLE });
}

export async function putLifecycle(c: ApiContext): Promise<Response> {
  const bucket = await bucketOf(c);
  const { rules = [] } = await jsonBody(c, lifecycle);
  await changeSettings(c, bucket, { lifecycle: rules });
  return ok(c, {});
}
