/** What edges are told of a version's static assets. */
import type { AssetsState } from "../protocol/routing.ts";
import type { AssetsRecord, VersionSettings } from "./records.ts";

/** For queries that select from `versions`. */
export const ASSETS_COLUMNS = `versions.assets, versions.settings`;

export interface AssetsRow {
  assets: string | null;
  settings: string;
}

/** To be spread into a state; empty: it has none. */
export function assetsOf({ assets, settings }: AssetsRow): { readonly assets?: AssetsState } {
  if (assets === null) return {};
  const record = JSON.parse(assets) as AssetsRecord;
  return { assets: assetsState(record, JSON.parse(settings) as VersionSettings) };
}

export function assetsState(record: AssetsRecord, settings: VersionSettings): AssetsState {
  return { ...record, takesNavigations: takesNavigations(settings) };
}

/** https://developers.cloudflare.com/workers/configuration/compatibility-flags/ */
function takesNavigations({ compatibilityDate, compatibilityFlags }: VersionSettings): boolean {
  if (compatibilityFlags.includes("assets_navigation_prefers_asset_serving")) return true;
  if (compatibilityFlags.includes("assets_navigation_has_no_effect")) return false;
  return compatibilityDate >= "2025-04-01";
}
