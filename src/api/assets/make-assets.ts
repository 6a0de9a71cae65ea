/** From what an upload says of its static assets to the record that its version keeps. */
import type { AssetFile, AssetManifest } from "../../protocol/assets.ts";
import { readJson } from "../../registry/blobs.ts";
import type { AssetsRecord, NamespaceRecord } from "../../registry/records.ts";
import { registry, type ApiContext } from "../context.ts";
import { ApiError } from "../errors.ts";
import { unwrap } from "../failures.ts";
import { DEFAULT_CONFIG, type AssetsConfig, type AssetsUpload } from "./config.ts";
import { finishedSession, pack, storeAll, type ClaimedManifest } from "./upload-session.ts";

/** `isOnly`: the upload has no code. The record's manifest is stored, and stays for as long as a deploy may take. */
export async function makeAssets(
  c: ApiContext,
  namespace: NamespaceRecord,
  script: string,
  upload: AssetsUpload | null,
  isOnly: boolean,
): Promise<AssetsRecord | null> {
  if (upload === null) return null;
  const kept = upload.jwt === undefined ? await keptAssets(c, namespace, script) : null;
  const files =
    upload.jwt === undefined
      ? (kept?.manifest.files ?? {})
      : await uploadedFiles(c, await finishedSession(c, namespace.id, script, upload.jwt));
  const config = upload.config ?? kept?.config ?? DEFAULT_CONFIG;
  const { redirects, headers, ...settings } = config;
  const manifest: AssetManifest = { files, redirects, headers };
  const blob = await pack(JSON.stringify(manifest));
  const hashes = [...new Set(Object.values(files).map(({ hash }) => hash))];
  await storeAll(c, [blob], async ([holdId = ""]) =>
    unwrap(await registry(c).addAssetManifest(namespace.id, blob.hash, hashes, holdId)),
  );
  return { manifest: blob.hash, ...settings, isOnly };
}

async function uploadedFiles(c: ApiContext, session: string): Promise<Record<string, AssetFile>> {
  const { blob, assets } = unwrap(await registry(c).finishedAssets(session));
  const claimed = await readJson<ClaimedManifest>(c.env.BLOBS, blob);
  const known = new Map(assets.map((asset) => [asset.hash, asset]));
  const files = Object.entries(claimed).map(([path, { hash }]) => {
    const asset = known.get(hash);
    if (asset === undefined) throw new Error(`session ${session} lacks ${hash}`);
    return [path, asset] as const;
  });
  return Object.fromEntries(files);
}

async function keptAssets(
  c: ApiContext,
  namespace: NamespaceRecord,
  script: string,
): Promise<{ manifest: AssetManifest; config: AssetsConfig }> {
  const before = await registry(c).newest(namespace.id, script);
  const assets = before.ok ? before.value.version.assets : null;
  if (assets === null) {
    throw new ApiError(
      "invalid",
      `metadata.keep_assets: the version before of '${script}' has no assets to keep.`,
    );
  }
  const manifest = await readJson<AssetManifest>(c.env.BLOBS, assets.manifest);
  const { redirects, headers } = manifest;
  return { manifest, config: { ...assets, redirects, headers } };
}
