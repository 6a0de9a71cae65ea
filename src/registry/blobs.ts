/**
 * The blob store: one file per distinct content, named by its SHA-256. Static assets and their manifests are
 * blobs as they are; a set of modules is an encoded bundle of which only `syntax`, `mainModule` and `modules` are filled in, so that versions
 * that differ in settings or secrets share one file and no secret is in it.
 */
import { decodeBundle, encodeBundle, type Bundle } from "../protocol/bundle.ts";

export type Code = Pick<Bundle, "syntax" | "mainModule" | "modules">;

export interface Packed {
  readonly hash: string;
  readonly bytes: Uint8Array;
}

export async function packCode(code: Code): Promise<Packed> {
  const bytes = encodeBundle({
    versionId: "",
    compatibilityDate: "",
    compatibilityFlags: [],
    syntax: code.syntax,
    mainModule: code.mainModule,
    modules: code.modules,
    env: {},
  });
  return { hash: new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex(), bytes };
}

export async function storeBlob(blobs: Fetcher, { hash, bytes }: Packed): Promise<void> {
  const response = await blobs.fetch(urlOf(hash), { method: "PUT", body: bytes });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`blob ${hash} not stored: HTTP ${response.status}`);
}

/** Rejects if there is none. */
export async function readBlob(blobs: Fetcher, hash: string): Promise<Response> {
  const response = await blobs.fetch(urlOf(hash));
  if (response.ok) return response;
  await response.body?.cancel();
  throw new Error(`blob ${hash} not readable: HTTP ${response.status}`);
}

/** Of a blob that is JSON. */
export async function readJson<T>(blobs: Fetcher, hash: string): Promise<T> {
  const response = await readBlob(blobs, hash);
  // The store knows no types, and the runtime warns of text that is not called text.
  return JSON.parse(new TextDecoder().decode(await response.arrayBuffer())) as T;
}

export async function loadCode(blobs: Fetcher, hash: string): Promise<Code> {
  const response = await readBlob(blobs, hash);
  const bundle = decodeBundle(new Uint8Array(await response.arrayBuffer()));
  return { syntax: bundle.syntax, mainModule: bundle.mainModule, modules: bundle.modules };
}

/** Deleting one that is gone already is no error. */
export async function deleteBlob(blobs: Fetcher, hash: string): Promise<void> {
  const response = await blobs.fetch(urlOf(hash), { method: "DELETE" });
  await response.body?.cancel();
  if (!response.ok && response.status !== 404) {
    throw new Error(`blob ${hash} not deleted: HTTP ${response.status}`);
  }
}

function urlOf(hash: string): string {
  return `http://blobs/${hash}`;
}
