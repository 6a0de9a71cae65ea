/**
 * Uploading static assets ahead of a deploy: a session is told what the assets will be, answers which contents are
 * missing, takes these, and ends with the token that the deploy presents. Contents are known per namespace.
 */
import * as z from "zod";
import { secretKeys } from "../../hub/secret-keys.ts";
import { MAX_PATH_LENGTH } from "../../protocol/assets.ts";
import { storeBlob, type Packed } from "../../registry/blobs.ts";
import type { AssetClaim, StoredAsset } from "../../registry/assets.ts";
import { accountId, namespaceOf, param, registry, type ApiContext } from "../context.ts";
import { ApiError } from "../errors.ts";
import { unwrap } from "../failures.ts";
import { parseJson, validate } from "../json-body.ts";
import { parseForm, readAnyBody, readBody } from "../upload/form.ts";
import { signSession, verifySession, type SessionClaims } from "./session-token.ts";

/** Cloudflare's limits. https://developers.cloudflare.com/workers/platform/limits/#static-assets */
const MAX_ASSETS = 20_000;
const MAX_ASSET_BYTES = 25 * 1024 * 1024;

/** A manifest of MAX_ASSETS with long paths. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;

const SESSION_SECONDS = 60 * 60;

/** A body is held in memory: in base64, with the form around it. A larger asset comes alone. */
const BUCKET_BYTES = 8 * 1024 * 1024;
const BUCKET_FILES = 500;
const MAX_BODY_BYTES = Math.ceil((MAX_ASSET_BYTES * 4) / 3) + BUCKET_FILES * 1024;

const HASH = /^[0-9a-f]{32}$/i;

export const manifest = z.object({
  manifest: z.record(
    z.string(),
    z.object({ hash: z.string(), size: z.number().int().nonnegative() }),
  ),
});

/** What a session is for, as it is stored until the deploy. */
export type ClaimedManifest = z.output<typeof manifest>["manifest"];

/** `POST …/scripts/{script}/assets-upload-session` */
export async function openSession(c: ApiContext): Promise<Response> {
  const namespace = await namespaceOf(c);
  const text = new TextDecoder().decode(await readBody(c.req.raw, MAX_MANIFEST_BYTES));
  const body = validate(manifest, parseJson(text, "the request body"), "body", "invalid");
  const claims = claimsOf(body.manifest);
  const id = crypto.randomUUID();
  const blob = await pack(JSON.stringify(body.manifest));
  const expiresOn = Date.now() + SESSION_SECONDS * 1000;
  const session = { id, namespaceId: namespace.id, blob: blob.hash, expiresOn };
  const missing = await storeAll(c, [blob], async ([holdId = ""]) =>
    unwrap(await registry(c).openAssetSession(session, claims, holdId)),
  );
  const jwt = await signSession(secretKeys(c.env), {
    exp: Math.floor(expiresOn / 1000),
    use: missing.length === 0 ? "complete" : "upload",
    session: id,
    account: accountId(c),
    namespace: namespace.id,
    script: param(c, "script"),
  });
  return answer(c, 200, { jwt, buckets: toBuckets(missing) });
}

/** `POST …/workers/assets/upload?base64=true`: a form with a part for each content, named by its hash. */
export async function uploadAssets(c: ApiContext): Promise<Response> {
  const session = await sessionOf(c);
  if (c.req.query("base64") !== "true") {
    throw new ApiError("badBody", "Assets in a form are sent in base64: say so with ?base64=true.");
  }
  const form = await parseForm(
    await readBody(c.req.raw, MAX_BODY_BYTES),
    c.req.header("content-type") ?? null,
  );
  if (form === null) throw new ApiError("badBody", "The request body is no multipart form.");
  const files: Upload[] = [];
  for (const [hash, part] of form.entries()) {
    const text = typeof part === "string" ? part : await part.text();
    files.push({
      hash,
      content: decode(hash, text),
      contentType: contentTypeOf(typeof part === "string" ? "" : part.type),
    });
  }
  return store(c, session, files);
}

/** `POST …/workers/assets/upload/{hash}`: one content as it is. */
export async function uploadAsset(c: ApiContext): Promise<Response> {
  const session = await sessionOf(c);
  const content = await readAnyBody(c.req.raw, MAX_ASSET_BYTES);
  const contentType = contentTypeOf(c.req.header("content-type") ?? "");
  return store(c, session, [{ hash: param(c, "hash"), content, contentType }]);
}

/** The session that a deploy of this script names by its completion token. */
export async function finishedSession(
  c: ApiContext,
  namespaceId: string,
  script: string,
  jwt: string,
): Promise<string> {
  const claims = await verifySession(secretKeys(c.env), jwt, Date.now());
  const why =
    claims === null
      ? "is not valid, or has expired: upload the assets again"
      : claims.use !== "complete"
        ? "is that of an unfinished upload: use the one that the last upload was answered with"
        : claims.account !== accountId(c) || claims.namespace !== namespaceId
          ? "is for another namespace"
          : claims.script !== script
            ? `is for the script '${claims.script}'`
            : undefined;
  if (claims === null || why !== undefined) {
    throw new ApiError("invalid", `metadata.assets.jwt ${why}.`);
  }
  return claims.session;
}

interface Upload {
  readonly hash: string;
  readonly content: Uint8Array;
  readonly contentType: string | null;
}

async function store(
  c: ApiContext,
  session: SessionClaims,
  files: readonly Upload[],
): Promise<Response> {
  const hashes = files.map(({ hash }) => hash);
  const claims = unwrap(await registry(c).assetClaims(session.session, hashes));
  const sizes = new Map(claims.map(({ hash, size }) => [hash, size]));
  for (const { hash, content } of files) refuseUnclaimed(hash, content.byteLength, sizes.get(hash));
  const packed = await Promise.all(
    files.map(async (file) => {
      return { ...file, blob: await sha256Hex(file.content) };
    }),
  );
  const blobs = packed.map(({ blob, content }) => ({ hash: blob, bytes: content }));
  const stored = packed.map<StoredAsset>(({ hash, blob, content, contentType }) => {
    return { hash, blob, size: content.byteLength, contentType };
  });
  const missing = await storeAll(c, blobs, async (holdIds) =>
    unwrap(await registry(c).storeAssets(session.session, stored, holdIds)),
  );
  if (missing > 0) return answer(c, 202, {});
  const jwt = await signSession(secretKeys(c.env), { ...session, use: "complete" });
  return answer(c, 201, { jwt });
}

/** Stores blobs, and then what names them; `commit` releases the holds. Of what comes to nothing none is left. */
export async function storeAll<T>(
  c: ApiContext,
  blobs: readonly Packed[],
  commit: (holdIds: readonly string[]) => Promise<T>,
): Promise<T> {
  const holds = blobs.map(({ hash }) => ({ id: crypto.randomUUID(), blob: hash }));
  await registry(c).holdBlobs(holds);
  try {
    for (const blob of blobs) await storeBlob(c.env.BLOBS, blob);
    return await commit(holds.map(({ id }) => id));
  } catch (error) {
    for (const { id } of holds) await registry(c).abandon(id);
    throw error;
  }
}

async function sessionOf(c: ApiContext): Promise<SessionClaims> {
  const token = /^Bearer\s+(\S+)\s*$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? "";
  const claims = await verifySession(secretKeys(c.env), token, Date.now());
  if (claims === null || claims.account !== param(c, "account")) {
    throw new ApiError(
      "badCredentials",
      "Authentication error: assets are uploaded with the token of an upload session, which is valid for an hour.",
    );
  }
  return claims;
}

function claimsOf(files: ClaimedManifest): AssetClaim[] {
  const entries = Object.entries(files);
  if (entries.length > MAX_ASSETS) {
    throw new ApiError(
      "invalid",
      `${entries.length} static assets are more than the ${MAX_ASSETS} that a version may have.`,
    );
  }
  const claims = new Map<string, AssetClaim>();
  for (const [path, { hash, size }] of entries) {
    refuseBadClaim(path, hash, size);
    const known = claims.get(hash);
    if (known !== undefined && known.size !== size) {
      throw new ApiError("invalid", `body.manifest: the hash '${hash}' has two sizes.`);
    }
    claims.set(hash, { hash, size });
  }
  return [...claims.values()];
}

function refuseBadClaim(path: string, hash: string, size: number): void {
  const refuse = (why: string) => new ApiError("invalid", `body.manifest['${path}']: ${why}.`);
  if (!path.startsWith("/")) throw refuse("a path begins with /");
  if (path.length > MAX_PATH_LENGTH) throw refuse(`is longer than ${MAX_PATH_LENGTH}`);
  if (!HASH.test(hash)) throw refuse(`'${hash}' is no hash of 32 hexadecimal digits`);
  if (size > MAX_ASSET_BYTES) {
    throw refuse(`has ${size} bytes; a static asset may have ${MAX_ASSET_BYTES}`);
  }
}

function refuseUnclaimed(hash: string, size: number, claimed: number | undefined): void {
  if (claimed === undefined) {
    throw new ApiError("invalid", `The upload session knows of no asset with the hash '${hash}'.`);
  }
  if (size !== claimed) {
    throw new ApiError(
      "invalid",
      `The asset ${hash} has ${size} bytes, the session was told of ${claimed}.`,
    );
  }
}

function toBuckets(claims: readonly AssetClaim[]): string[][] {
  const buckets: string[][] = [];
  let bytes = Infinity;
  for (const { hash, size } of claims) {
    const last = buckets.at(-1);
    if (last === undefined || last.length >= BUCKET_FILES || bytes + size > BUCKET_BYTES) {
      buckets.push([hash]);
      bytes = size;
    } else {
      last.push(hash);
      bytes += size;
    }
  }
  return buckets;
}

function decode(hash: string, text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text);
  } catch (cause) {
    throw new ApiError("badBody", `The part '${hash}' is not base64.`, { cause });
  }
}

/** wrangler says `application/null` of what has no type. */
function contentTypeOf(type: string): string | null {
  return type === "" || type.startsWith("application/null") ? null : type;
}

export async function pack(text: string): Promise<Packed> {
  const bytes = new TextEncoder().encode(text);
  return { hash: await sha256Hex(bytes), bytes };
}

async function sha256Hex(bytes: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

function answer(c: ApiContext, status: 200 | 201 | 202, result: object): Response {
  return c.json({ success: true, errors: [], messages: [], result }, status);
}
