/**
 * AWS Signature Version 4, as S3 uses it: what is signed, and with what. Pure: no request, no clock.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 */
const encoder = new TextEncoder();

export const UNSIGNED = "UNSIGNED-PAYLOAD";
export const ALGORITHM = "AWS4-HMAC-SHA256";

/** `date` is `20130524`. */
export interface Scope {
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

export interface Signed {
  readonly method: string;
  /** As sent, without the query. */
  readonly path: string;
  /** As sent, without `?`. */
  readonly query: string;
  /** In the order in which the signature names them. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly payloadHash: string;
}

export function canonicalRequest({ method, path, query, headers, payloadHash }: Signed): string {
  return [
    method,
    path.split("/").map(encodeStrictly).join("/"),
    canonicalQuery(query),
    ...headers.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, " ")}`),
    "",
    headers.map(([name]) => name).join(";"),
    payloadHash,
  ].join("\n");
}

/** Without the signature, which cannot sign itself. */
function canonicalQuery(query: string): string {
  return query
    .split("&")
    .filter((pair) => pair !== "" && !pair.startsWith("X-Amz-Signature="))
    .map((pair) => {
      const [name = "", ...value] = pair.replaceAll("+", "%20").split("=");
      return [encodeStrictly(name), encodeStrictly(value.join("="))] as const;
    })
    .sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Everything but A-Z a-z 0-9 - . _ ~, whatever of it was encoded already. */
function encodeStrictly(text: string): string {
  let plain = text;
  try {
    plain = decodeURIComponent(text);
  } catch {
    // No percent-encoding: as it is, which agrees with no signature.
  }
  return encodeURIComponent(plain).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** `at` is `20130524T000000Z`. */
export async function stringToSign(at: string, scope: Scope, canonical: string): Promise<string> {
  return [ALGORITHM, at, scopeText(scope), await sha256Hex(canonical)].join("\n");
}

export function scopeText({ date, region, service }: Scope): string {
  return `${date}/${region}/${service}/aws4_request`;
}

export async function signingKey(secret: string, scope: Scope): Promise<Uint8Array> {
  const ofDate = await hmac(encoder.encode(`AWS4${secret}`), scope.date);
  const ofRegion = await hmac(ofDate, scope.region);
  const ofService = await hmac(ofRegion, scope.service);
  return hmac(ofService, "aws4_request");
}

export async function signature(key: Uint8Array, text: string): Promise<string> {
  return (await hmac(key, text)).toHex();
}

/** In a time that does not depend on how much of it is right. */
export async function isSignature(key: Uint8Array, text: string, given: string): Promise<boolean> {
  if (!/^[0-9a-f]{64}$/.test(given)) return false;
  const imported = await importKey(key, "verify");
  return crypto.subtle.verify("HMAC", imported, Uint8Array.fromHex(given), encoder.encode(text));
}

async function hmac(key: Uint8Array, text: string): Promise<Uint8Array> {
  const imported = await importKey(key, "sign");
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, encoder.encode(text)));
}

function importKey(key: Uint8Array, use: "sign" | "verify"): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, [use]);
}

export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(text));
  return new Uint8Array(digest).toHex();
}
