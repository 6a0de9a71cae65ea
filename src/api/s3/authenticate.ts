/**
 * Whose call of the S3 API it is. As with R2, the access key id is the id of an API token, and the secret access key is the
 * SHA-256 of the token's text in hex, which is what the registry keeps of it.
 */
import { clientAddress } from "../client-address.ts";
import { registry, type ApiContext } from "../context.ts";
import { FailedAttempts } from "../failed-attempts.ts";
import { S3Error } from "./s3-error.ts";
import {
  ALGORITHM,
  canonicalRequest,
  isSignature,
  signingKey,
  stringToSign,
  UNSIGNED,
  type Scope,
} from "./sigv4.ts";

const SKEW_MS = 15 * 60_000;
const MAX_EXPIRES_SECONDS = 7 * 86_400;

const failedAttempts = new FailedAttempts();

/** What the parts of a streamed body are signed with. */
export interface Signer {
  readonly key: Uint8Array;
  readonly scope: Scope;
  readonly at: string;
  readonly signature: string;
  /** The header x-amz-content-sha256, or what stands for it. */
  readonly payloadHash: string;
}

interface Credentials {
  readonly accessKeyId: string;
  readonly scope: Scope;
  readonly at: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly payloadHash: string;
  /** Of a presigned URL. */
  readonly expiresSeconds?: number;
}

/** Whether a request is for the S3 API: what is signed so cannot be for any other. */
export function isForS3(request: Request): boolean {
  const { url, headers } = request;
  if (headers.get("authorization")?.startsWith(ALGORITHM)) return true;
  return /[?&]X-Amz-Signature=/.test(url);
}

/** Sets the token of the context. */
export async function authenticateS3(c: ApiContext, now: number): Promise<Signer> {
  const request = c.req.raw;
  const [, path = "/", query = ""] = /^[^/]*\/\/[^/]*([^?#]*)\??([^#]*)/.exec(request.url) ?? [];
  const given = credentialsOf(request.headers, new URLSearchParams(query));
  refuseTime(given, now);
  refuseUnsigned(request.headers, given);
  const found = await registry(c).credentials(given.accessKeyId);
  if (!found.ok) {
    refuseFlood(c, now);
    throw new S3Error(
      "InvalidAccessKeyId",
      `There is no API token with the id '${given.accessKeyId}', or it has expired.`,
    );
  }
  const { token, secret } = found.value;
  const { scope, at, payloadHash, signature } = given;
  const key = await signingKey(secret, scope);
  const canonical = canonicalRequest({
    method: request.method,
    path,
    query,
    headers: given.signedHeaders.map((name) => [name, request.headers.get(name) ?? ""]),
    payloadHash,
  });
  if (!(await isSignature(key, await stringToSign(at, scope, canonical), signature))) {
    refuseFlood(c, now);
    throw new S3Error(
      "SignatureDoesNotMatch",
      "The request signature we calculated does not match the signature you provided. The secret access key is the SHA-256 of the API token, in hex.",
    );
  }
  c.set("token", token);
  return { key, scope, at, signature, payloadHash };
}

function refuseFlood(c: ApiContext, now: number): void {
  const seconds = failedAttempts.take(clientAddress(c), now);
  if (seconds > 0) throw new S3Error("SlowDown", `Try again in ${seconds} seconds.`);
}

function credentialsOf(headers: Headers, query: URLSearchParams): Credentials {
  if (query.has("X-Amz-Signature")) return ofQuery(query);
  // Else whoever has a presigned URL moves its signature to the header, and it does not end when it says.
  if (query.has("X-Amz-Expires")) {
    throw new S3Error(
      "AuthorizationQueryParametersError",
      "A presigned URL must have its X-Amz-Signature.",
    );
  }
  return ofHeader(headers);
}

type MalformedCode = "AuthorizationHeaderMalformed" | "AuthorizationQueryParametersError";

function ofQuery(query: URLSearchParams): Credentials {
  const get = (name: string) => query.get(name) ?? "";
  const expiresSeconds = Number(get("X-Amz-Expires"));
  const code = "AuthorizationQueryParametersError";
  if (
    get("X-Amz-Algorithm") !== ALGORITHM ||
    !(expiresSeconds >= 1 && expiresSeconds <= MAX_EXPIRES_SECONDS)
  ) {
    throw new S3Error(
      code,
      `X-Amz-Algorithm must be ${ALGORITHM}, and X-Amz-Expires 1 to ${MAX_EXPIRES_SECONDS} seconds.`,
    );
  }
  return {
    ...scopeOf(get("X-Amz-Credential"), code),
    at: get("X-Amz-Date"),
    signedHeaders: signedHeadersOf(get("X-Amz-SignedHeaders"), code),
    signature: get("X-Amz-Signature"),
    payloadHash: query.get("X-Amz-Content-Sha256") ?? UNSIGNED,
    expiresSeconds,
  };
}

function ofHeader(headers: Headers): Credentials {
  const code = "AuthorizationHeaderMalformed";
  const parts = (headers.get("authorization") ?? "").slice(ALGORITHM.length).split(",");
  const fields = new Map(
    parts.map((part) => {
      const [name = "", ...value] = part.trim().split("=");
      return [name, value.join("=")];
    }),
  );
  const field = (name: "Credential" | "SignedHeaders" | "Signature") => {
    const value = fields.get(name);
    if (value !== undefined) return value;
    throw new S3Error(
      code,
      `The authorization header is malformed: '${name}=' is missing. It is ${ALGORITHM} Credential=…, SignedHeaders=…, Signature=….`,
    );
  };
  const payloadHash = headers.get("x-amz-content-sha256");
  if (payloadHash === null) {
    throw new S3Error(code, "The header x-amz-content-sha256 is missing.");
  }
  return {
    ...scopeOf(field("Credential"), code),
    at: headers.get("x-amz-date") ?? "",
    signedHeaders: signedHeadersOf(field("SignedHeaders"), code),
    signature: field("Signature"),
    payloadHash,
  };
}

/** Any region. */
function scopeOf(
  credential: string,
  code: MalformedCode,
): Pick<Credentials, "accessKeyId" | "scope"> {
  const [, accessKeyId, date, region] =
    /^([^/]+)\/(\d{8})\/([^/]*)\/s3\/aws4_request$/.exec(credential) ?? [];
  if (accessKeyId === undefined || date === undefined || region === undefined) {
    throw new S3Error(
      code,
      `The Credential '${credential}' is malformed. It is <access key id>/YYYYMMDD/<region>/s3/aws4_request.`,
    );
  }
  return { accessKeyId, scope: { date, region, service: "s3" } };
}

function signedHeadersOf(text: string, code: MalformedCode): readonly string[] {
  const names = text.split(";");
  const malformed = names.find((name) => !HEADER_NAME.test(name));
  if (malformed !== undefined) {
    throw new S3Error(
      code,
      `The SignedHeaders '${text}' are malformed: '${malformed}' is no name of a header in lower case. They are names with ';' between them.`,
    );
  }
  if (!names.includes("host")) {
    throw new S3Error(code, `The SignedHeaders '${text}' lack host, which must be signed.`);
  }
  return names;
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;

/** Of these the signature says all there is to say, or they say nothing. */
const NEED_NO_SIGNATURE = new Set(["x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"]);

/** Whoever was given a presigned URL must not make another request of it: of an upload a copy of another object, say. */
function refuseUnsigned(headers: Headers, { signedHeaders }: Credentials): void {
  const [unsigned] =
    [...headers].find(
      ([name]) =>
        name.startsWith("x-amz-") && !NEED_NO_SIGNATURE.has(name) && !signedHeaders.includes(name),
    ) ?? [];
  if (unsigned === undefined) return;
  throw new S3Error(
    "AccessDenied",
    `There were headers present in the request which were not signed: ${unsigned}`,
  );
}

function refuseTime({ at, scope, expiresSeconds }: Credentials, now: number): void {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(at) ?? [];
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (Number.isNaN(time) || !at.startsWith(`${scope.date}T`)) {
    throw new S3Error(
      "AccessDenied",
      `The date '${at}' is not one like 20130524T000000Z of the day '${scope.date}' of the Credential.`,
    );
  }
  if (expiresSeconds !== undefined && now > time + expiresSeconds * 1000) {
    throw new S3Error("AccessDenied", "Request has expired");
  }
  if (time > now + SKEW_MS || (expiresSeconds === undefined && time < now - SKEW_MS)) {
    throw new S3Error(
      "RequestTimeTooSkewed",
      "The difference between the request time and the server's time is too large.",
    );
  }
}
