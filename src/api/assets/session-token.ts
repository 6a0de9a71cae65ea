/**
 * The tokens of an upload session: JWTs (HS256), since wrangler reads their expiry. `upload` lets its holder send the
 * contents that the session lacks, and nothing else; `complete` names the uploaded assets in a deploy of the script
 * that the session is for.
 */
import * as z from "zod";

const claims = z.object({
  /** Unix seconds. */
  exp: z.number(),
  use: z.enum(["upload", "complete"]),
  session: z.string(),
  account: z.string(),
  namespace: z.string(),
  script: z.string(),
});

export type SessionClaims = z.output<typeof claims>;

const HEADER = toBase64Url(new TextEncoder().encode(JSON.stringify({ alg: "HS256", typ: "JWT" })));

/** `secretKeys`: the platform's (src/registry/seal.ts). The newest signs. */
export async function signSession(secretKeys: string, payload: SessionClaims): Promise<string> {
  const [newest = ""] = secretKeys.split(",");
  const body = toBase64Url(new TextEncoder().encode(JSON.stringify(payload)));
  const signature = await crypto.subtle.sign("HMAC", await keyOf(newest), signed(HEADER, body));
  return `${HEADER}.${body}.${toBase64Url(new Uint8Array(signature))}`;
}

/** null: it was signed under none of these keys, or has expired. */
export async function verifySession(
  secretKeys: string,
  token: string,
  nowMs: number,
): Promise<SessionClaims | null> {
  const [header, body, signature, ...rest] = token.split(".");
  if (header !== HEADER || body === undefined || signature === undefined || rest.length > 0) {
    return null;
  }
  const bytes = fromBase64Url(signature);
  if (bytes === null) return null;
  const verified = secretKeys.split(",").map(async (secretKey) => {
    return crypto.subtle.verify("HMAC", await keyOf(secretKey), bytes, signed(header, body));
  });
  if (!(await Promise.all(verified)).includes(true)) return null;
  const payload = fromBase64Url(body);
  const parsed = claims.parse(JSON.parse(new TextDecoder().decode(payload ?? new Uint8Array())));
  return parsed.exp * 1000 > nowMs ? parsed : null;
}

function signed(header: string, body: string): Uint8Array {
  return new TextEncoder().encode(`${header}.${body}`);
}

/** Derived, so that no token says anything about the key that seals secrets. */
async function keyOf(secretKey: string): Promise<CryptoKey> {
  const secret = Uint8Array.fromBase64(secretKey);
  const base = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  const info = new TextEncoder().encode("skep asset upload sessions");
  return crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info },
    base,
    { name: "HMAC", hash: "SHA-256", length: 256 },
    false,
    ["sign", "verify"],
  );
}

function toBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function fromBase64Url(text: string): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    // Not base64.
    return null;
  }
}
