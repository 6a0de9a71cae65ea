/**
 * Outbound Workers: an operator may have one Worker get every `fetch()` of the functions of a namespace, with
 * parameters that the dispatcher passes in `get(name, args, { outbound })`.
 *
 * The way out of an isolate and its env are fixed when it is loaded. So calls of one version that differ in
 * them run in different isolates, and each such difference is a *variant* of the version.
 */

/** As an operator sets it for a namespace. Its functions' fetches go to `namespace/script`. */
export interface OutboundWorker {
  readonly namespace: string;
  readonly script: string;
  /** Names of the parameters that a dispatcher may pass. */
  readonly parameters: readonly string[];
}

/** Plain JSON. */
export type OutboundParameters = Readonly<Record<string, unknown>>;

/** Where the fetches of one isolate go. */
export interface OutboundTarget {
  readonly namespace: string;
  readonly script: string;
  /** The outbound Worker finds them in its env. */
  readonly parameters: OutboundParameters;
  /** As that of a binding (bundle.ts). */
  readonly grant?: string;
}

export interface Variant {
  /** Of what follows. */
  readonly digest: string;
  /** Who gets the fetches. */
  readonly outbound?: OutboundTarget;
  /** The version is called as an outbound Worker: added to its env. */
  readonly parameters?: OutboundParameters;
  /** Somebody wants the trace events of its invocations. */
  readonly traced?: true;
  /** To tell them, as that of a binding (bundle.ts). */
  readonly grant?: string;
}

/** Of a version that is traced, and otherwise the plain one. */
export const TRACED: Variant = Object.freeze({ digest: "traced", traced: true });

/** The same, and traced. */
export function tracedVariant(variant: Variant | undefined): Variant {
  return variant === undefined
    ? TRACED
    : { ...variant, digest: `${variant.digest}-${TRACED.digest}`, traced: true };
}

/** Parameters travel in headers, whose size is bounded. Of JSON. */
export const MAX_PARAMETERS_CHARACTERS = 4_096;

/** Of the isolate of a variant; that of the plain version has the version's own id. */
export function isolateId(versionId: string, variant: Variant | undefined): string {
  return variant === undefined ? versionId : `${versionId}~${variant.digest}`;
}

/**
 * Whether it gets what a dispatcher says without passing anything, so that it is worth keeping one ready. Of the
 * others there may be any number.
 */
export function isUsual(variant: Variant | undefined): boolean {
  if (variant === undefined) return true;
  const { outbound, parameters } = variant;
  return parameters === undefined && Object.keys(outbound?.parameters ?? {}).length === 0;
}

/** Throws a TypeError. `outbound` undefined: the namespace has none. */
export function refuseUndeclared(
  outbound: OutboundWorker | undefined,
  given: Record<string, unknown>,
  { namespace, script }: { readonly namespace: string; readonly script: string },
): void {
  if (outbound === undefined) {
    throw new TypeError(
      `outbound parameters were given for "${script}", but the dispatch namespace "${namespace}" has no outbound Worker`,
    );
  }
  const { parameters } = outbound;
  const unknown = Object.keys(given).find((name) => !parameters.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(
    `outbound parameter "${unknown}" was given for "${script}", but the outbound Worker of the dispatch namespace ` +
      `"${namespace}" declares only [${parameters.join(", ")}]`,
  );
}

/** Of a version whose fetches go to `outbound`. */
export async function outboundVariant(
  { namespace, script, parameters: names }: OutboundWorker,
  given: Record<string, unknown> = {},
): Promise<Variant> {
  // In the order of the declaration, so that the same parameters are the same variant.
  const entries = names.map(
    (name) => [name, Object.hasOwn(given, name) ? given[name] : undefined] as const,
  );
  const text = JSON.stringify(
    Object.fromEntries(entries.filter(([, value]) => value !== undefined)),
  );
  if (text.length > MAX_PARAMETERS_CHARACTERS) {
    throw new TypeError(
      `the outbound parameters take ${text.length} characters as JSON, more than ${MAX_PARAMETERS_CHARACTERS}`,
    );
  }
  const parameters = JSON.parse(text) as OutboundParameters;
  const outbound = { namespace, script, parameters };
  return { digest: await digestOf({ outbound }), outbound };
}

/** Of a version that is called as an outbound Worker. Without parameters it is the plain one. */
export async function parametersVariant(
  parameters: OutboundParameters,
): Promise<Variant | undefined> {
  if (Object.keys(parameters).length === 0) return undefined;
  return { digest: await digestOf({ parameters }), parameters };
}

/** Whoever chooses parameters must not be able to make two sets of them meet, so it is a cryptographic one. */
async function digestOf(variant: Omit<Variant, "digest">): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(variant));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex();
}
