/**
 * Grants: that an edge gave a binding to a cell shows by a MAC, under a key that edges and the store share and cells never
 * see. So a cell, even one in the hands of an attacker, can ask edges and the store only for what the versions that it was
 * sent may ask for.
 */
import { isBindingValue, type BindingValue, type Bundle, type EnvValue } from "./bundle.ts";
import type { OutboundTarget, Variant } from "./outbound.ts";

const HMAC = { name: "HMAC", hash: "SHA-256" };

/** Whose binding it is. */
export interface Grantee {
  readonly namespace: string;
  readonly script: string;
}

export type Granted =
  | BindingValue
  | ({ readonly type: "outbound" } & OutboundTarget)
  /** To tell trace events of the function. */
  | { readonly type: "traces" };

export class Grants {
  readonly #keyHex: string;
  #key: CryptoKey | undefined;

  constructor(keyHex: string) {
    this.#keyHex = keyHex;
  }

  /** Whether `grant` was made for this. */
  async hold(to: Grantee, value: Granted, grant: string | undefined): Promise<boolean> {
    if (!/^[0-9a-f]{64}$/.test(grant ?? "")) return false;
    const mac = bytesOf(grant as string);
    return crypto.subtle.verify(HMAC, await this.#imported(), mac, textOf(to, value));
  }

  /** As it goes to a cell: with a grant for each binding. */
  async addTo(bundle: Bundle, to: Grantee): Promise<Bundle> {
    const env = await Promise.all(
      Object.entries(bundle.env).map(async ([name, value]): Promise<[string, EnvValue]> => {
        if (!isBindingValue(value)) return [name, value];
        return [name, { ...value, grant: await this.make(to, value) }];
      }),
    );
    return { ...bundle, env: Object.fromEntries(env) };
  }

  /** The same for what is particular to a variant. */
  async addToVariant(variant: Variant, to: Grantee): Promise<Variant> {
    const { outbound, traced, ...same } = variant;
    return {
      ...same,
      ...(outbound && {
        outbound: { ...outbound, grant: await this.make(to, { type: "outbound", ...outbound }) },
      }),
      ...(traced && { traced, grant: await this.make(to, { type: "traces" }) }),
    };
  }

  async make(to: Grantee, value: Granted): Promise<string> {
    const mac = await crypto.subtle.sign(HMAC, await this.#imported(), textOf(to, value));
    return Array.from(new Uint8Array(mac), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  async #imported(): Promise<CryptoKey> {
    const bytes = bytesOf(this.#keyHex);
    this.#key ??= await crypto.subtle.importKey("raw", bytes, HMAC, false, ["sign", "verify"]);
    return this.#key;
  }
}

/** Not by the built-in function, which the supervisor's Node lacks. */
function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
}

/** The same for an edge that makes a grant, and for one that has the parts from a call. */
function textOf({ namespace, script }: Grantee, value: Granted): Uint8Array {
  const parts = [namespace, script, value.type, ...partsOf(value)];
  return new TextEncoder().encode(JSON.stringify(parts));
}

function partsOf(value: Granted): unknown[] {
  switch (value.type) {
    case "service":
      return [value.namespace, value.script, value.entrypoint ?? null, value.props ?? null];
    case "dispatch-namespace": {
      const { namespace, outbound } = value;
      if (outbound === undefined) return [namespace];
      return [namespace, outbound.namespace, outbound.script, outbound.parameters];
    }
    case "rate-limit":
      return [value.id, value.limit, value.periodSeconds];
    case "analytics":
      return [value.dataset];
    case "assets":
      return [value.versionId];
    case "kv":
    case "r2":
    case "d1":
    case "queue":
      return [value.id];
    case "durable-object-namespace":
      return [value.namespace, value.owner, value.key];
    case "outbound":
      return [value.namespace, value.script, value.parameters];
    case "traces":
      return [];
  }
}

/** To a cell that asks for what it was not given. */
export function notGranted(): Response {
  return new Response("this process was not given what it asks for\n", { status: 403 });
}
