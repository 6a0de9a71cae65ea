/** Cloudflare's GraphQL, as far as `wrangler r2 bucket info` needs it: how much is in a bucket. Everything else has no figures. */
import * as z from "zod";
import type { ApiContext } from "../context.ts";
import { jsonBody } from "../json-body.ts";
import { requireSeen } from "../resources.ts";
import { clientOf } from "./buckets.ts";

export const query = z.object({
  query: z.string(),
  operationName: z.string().optional(),
  variables: z
    .object({ filter: z.object({ bucketName: z.string().optional() }).optional() })
    .optional(),
});

export async function queryGraphql(c: ApiContext): Promise<Response> {
  const { operationName, variables } = await jsonBody(c, query);
  const name = variables?.filter?.bucketName;
  const isOfBucket = operationName === "getR2StorageMetrics" && name !== undefined;
  const account = isOfBucket ? await storageOf(c, name) : {};
  return c.json({ data: { viewer: { accounts: [account] } }, errors: null });
}

async function storageOf(c: ApiContext, name: string) {
  const { objects, bytes } = await clientOf(c, await requireSeen(c, "r2", { name })).usage();
  return {
    r2StorageAdaptiveGroups: [
      {
        max: { objectCount: objects, payloadSize: bytes, metadataSize: 0 },
        dimensions: { datetime: new Date().toISOString() },
      },
    ],
  };
}
