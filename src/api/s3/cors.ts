/** CORS of the S3 API, by the rules of a bucket: for browsers that use presigned URLs. */
import type { ResourceRecord } from "../../registry/resources.ts";
import { registry, type ApiContext } from "../context.ts";
import type { CorsRule } from "../r2/bucket-rules.ts";
import { S3Error } from "./s3-error.ts";

/** A preflight is not signed itself; the URL that it is about says whose it is. */
export async function answerPreflight(c: ApiContext, bucketName: string): Promise<Response> {
  const { searchParams } = new URL(c.req.url);
  const [accessKeyId = ""] = (searchParams.get("X-Amz-Credential") ?? "").split("/");
  const found = await registry(c).credentials(accessKeyId);
  const account = found.ok ? found.value.token.accountId : "";
  const bucket = await registry(c).resource(
    { accountId: account, kind: "r2" },
    { name: bucketName },
  );
  const method = c.req.header("access-control-request-method") ?? "";
  const rule = bucket && matching(bucket, c.req.header("origin"), method);
  const asked = splitList(c.req.header("access-control-request-headers"));
  if (!rule || !asked.every((name) => allows(rule, name))) {
    throw new S3Error("AccessDenied", "CORSResponse: This CORS request is not allowed.");
  }
  const headers = corsHeaders(rule, c.req.header("origin") ?? "");
  headers.set("access-control-allow-methods", rule.allowed.methods.join(", "));
  if (asked.length > 0) headers.set("access-control-allow-headers", asked.join(", "));
  if (rule.maxAgeSeconds !== undefined) {
    headers.set("access-control-max-age", String(rule.maxAgeSeconds));
  }
  return new Response(null, { headers });
}

export function withCors(response: Response, c: ApiContext, bucket: ResourceRecord): Response {
  const origin = c.req.header("origin");
  const rule = matching(bucket, origin, c.req.method);
  if (rule === undefined || origin === undefined) return response;
  for (const [name, value] of corsHeaders(rule, origin)) response.headers.set(name, value);
  return response;
}

function matching(
  { settings }: ResourceRecord,
  origin: string | undefined,
  method: string,
): CorsRule | undefined {
  if (origin === undefined) return undefined;
  const rules = (settings["cors"] as readonly CorsRule[] | undefined) ?? [];
  return rules.find(
    ({ allowed: { origins, methods } }) =>
      (methods as readonly string[]).includes(method) &&
      origins.some((pattern) => isMatch(pattern, origin)),
  );
}

function corsHeaders(rule: CorsRule, origin: string): Headers {
  const headers = new Headers({ vary: "Origin" });
  headers.set("access-control-allow-origin", rule.allowed.origins.includes("*") ? "*" : origin);
  if (rule.exposeHeaders?.length) {
    headers.set("access-control-expose-headers", rule.exposeHeaders.join(", "));
  }
  return headers;
}

function allows({ allowed: { headers = [] } }: CorsRule, name: string): boolean {
  return headers.some((pattern) => isMatch(pattern.toLowerCase(), name.toLowerCase()));
}

/** One `*` stands for anything. */
function isMatch(pattern: string, text: string): boolean {
  const [before = "", after] = pattern.split("*");
  if (after === undefined) return pattern === text;
  const isLongEnough = text.length >= before.length + after.length;
  return isLongEnough && text.startsWith(before) && text.endsWith(after);
}

function splitList(header: string | undefined): string[] {
  return (header ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}
