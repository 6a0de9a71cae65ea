/** Buckets in the S3 API. */
import { clientAddress } from "../client-address.ts";
import { accountId, registry, type ApiContext } from "../context.ts";
import { makeBucket, removeBucket } from "../r2/buckets.ts";
import { seen } from "../resources.ts";
import type { BucketCall, S3Call } from "./serve.ts";
import { element, result } from "./xml.ts";

const XML = { "content-type": "application/xml" };

export async function listBuckets({ c }: S3Call): Promise<Response> {
  const all = await registry(c).resources(await seen(c, "r2"));
  const { id, name } = c.var.token;
  return xml("ListAllMyBucketsResult", [
    element("Owner", [element("ID", id), element("DisplayName", name)]),
    element(
      "Buckets",
      all.map((bucket) =>
        element("Bucket", [
          element("Name", bucket.name),
          element("CreationDate", new Date(bucket.createdOn).toISOString()),
        ]),
      ),
    ),
  ]);
}

export async function createBucket({ c, bucketName }: S3Call): Promise<Response> {
  await makeBucket(c, bucketName, { storageClass: "Standard" });
  await record(c, "r2.create", bucketName);
  return new Response(null, { headers: { location: `/${bucketName}` } });
}

export async function deleteBucket({ c, bucket }: BucketCall): Promise<Response> {
  await removeBucket(c, bucket);
  await record(c, "r2.delete", bucket.name);
  return new Response(null, { status: 204 });
}

export function headBucket(): Promise<Response> {
  return Promise.resolve(new Response(null, { headers: { "x-amz-bucket-region": "auto" } }));
}

export function getLocation(): Promise<Response> {
  return Promise.resolve(xml("LocationConstraint", [{ markup: "auto" }]));
}

/** There is none. */
export function getVersioning(): Promise<Response> {
  return Promise.resolve(xml("VersioningConfiguration", []));
}

export function xml(name: string, content: Parameters<typeof result>[1]): Response {
  return new Response(result(name, content), { headers: XML });
}

/** The REST API's changes are recorded by audit.ts, which does not see these. */
async function record(c: ApiContext, action: string, bucket: string): Promise<void> {
  const { id, name } = c.var.token;
  await registry(c).recordAudit({
    accountId: accountId(c),
    actor: { id, name },
    address: clientAddress(c),
    action,
    target: `bucket ${bucket}`,
    before: null,
    after: null,
  });
}
