/** Bundles and calls of functions, for tests. */
import { encodeBundle, type Bundle } from "../../protocol/bundle.ts";
import type { Variant } from "../../protocol/outbound.ts";

export interface Source {
  readonly syntax?: Bundle["syntax"];
  readonly flags?: readonly string[];
  readonly env?: Bundle["env"];
}

/** A version of a function with one module. */
export function bundleOf(
  source: string,
  { syntax = "modules", flags = [], env = {} }: Source = {},
) {
  const versionId = crypto.randomUUID();
  const isModule = syntax === "modules";
  const content = new TextEncoder().encode(source);
  return {
    versionId,
    compatibilityDate: "2026-11-01",
    compatibilityFlags: flags,
    syntax,
    mainModule: "index.js",
    modules: [{ name: "index.js", type: isModule ? "esm" : "cjs", content }],
    env,
  } satisfies Bundle;
}

export interface Call {
  readonly path?: string;
  readonly init?: RequestInit;
  readonly wallMs?: number;
  readonly subrequests?: number;
  readonly via?: readonly string[];
  readonly props?: Record<string, unknown>;
}

/** A client of host.ts. */
export class Host {
  readonly #host: Fetcher;

  constructor(host: Fetcher) {
    this.#host = host;
  }

  /** Returns the id of the new version. */
  async load(source: string, { script = "f", minWarm = 0, ...of }: Source & LoadOptions = {}) {
    const bundle = bundleOf(source, of);
    await this.loadBundle(bundle, { script, minWarm });
    return bundle.versionId;
  }

  async loadBundle(
    bundle: Bundle,
    { script = "f", minWarm = 0, variant }: LoadOptions = {},
  ): Promise<void> {
    const query = new URLSearchParams({ script, minWarm: String(minWarm) });
    if (variant !== undefined) query.set("variant", JSON.stringify(variant));
    const url = `http://host/load?${query.toString()}`;
    const response = await this.#host.fetch(url, { method: "POST", body: encodeBundle(bundle) });
    if (!response.ok) throw new Error(await response.text());
    await response.body?.cancel();
  }

  call(versionId: string, call: Call = {}): Promise<Response> {
    const { path = "/", init, wallMs = 30_000, subrequests = 50, via = [], props } = call;
    const limits = { cpuMs: 50, wallMs, subrequests };
    const headers = new Headers(init?.headers);
    headers.set("x-invoke", JSON.stringify({ versionId, props, limits, via }));
    return this.#host.fetch(`http://host${path}`, { ...init, headers });
  }

  async text(versionId: string, call?: Call): Promise<string> {
    return (await this.call(versionId, call)).text();
  }

  async do(what: string): Promise<void> {
    const response = await this.#host.fetch(`http://host/${what}`, { method: "POST" });
    await response.body?.cancel();
  }

  async state<State>(): Promise<State> {
    return (await this.#host.fetch("http://host/state")).json();
  }
}

interface LoadOptions {
  readonly script?: string;
  readonly minWarm?: number;
  readonly variant?: Variant;
}
