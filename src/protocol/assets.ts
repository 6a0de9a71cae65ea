/**
 * The static assets of a version: what the hub stores of them and edges serve by. Paths are decoded and begin with a
 * slash. A manifest is JSON in the blob store, named by its SHA-256 as every blob is.
 */

/** Of an asset. */
export const MAX_PATH_LENGTH = 2_000;

export interface AssetManifest {
  /** By path. */
  readonly files: Readonly<Record<string, AssetFile>>;
  /** In the order of the `_redirects` file; the first one that matches holds. */
  readonly redirects: readonly RedirectRule[];
  /** In the order of the `_headers` file; all that match hold. */
  readonly headers: readonly HeaderRule[];
}

export interface AssetFile {
  /** As the uploader named the content. Within a namespace it stands for this content only. */
  readonly hash: string;
  /** SHA-256 of the content, hex: its name in the blob store. */
  readonly blob: string;
  readonly size: number;
  /** null: answered without a Content-Type. */
  readonly contentType: string | null;
}

export interface RedirectRule {
  /** A path, or `https://` with a host and a path; with `*` and `:placeholders`. */
  readonly from: string;
  readonly to: string;
  /** 200: the asset at `to` is served, without a redirect. */
  readonly status: 200 | 301 | 302 | 303 | 307 | 308;
  /** In the file, counted from 1. */
  readonly line: number;
}

export interface HeaderRule {
  /** As `RedirectRule.from`. */
  readonly path: string;
  readonly set: Readonly<Record<string, string>>;
  readonly unset: readonly string[];
}
