/**
 * What `dispatchNamespaces` hands through Miniflare's options to its plugin and on into workerd.
 * Miniflare takes JSON only, hence base64.
 */

/** A script that is ready to load. */
export interface PackedScript {
  readonly versionId: string;
  /** An encoded Bundle (protocol/bundle.ts), in base64. */
  readonly bundle: string;
}

export interface PackedOutbound {
  readonly script: PackedScript;
  /** Names that a dispatcher may set in `outbound`. */
  readonly parameters: readonly string[];
}

/** A dispatch namespace as it is at the start. */
export interface PackedNamespace {
  readonly namespace: string;
  readonly scripts: Readonly<Record<string, PackedScript>>;
  readonly outbound: PackedOutbound | null;
}
