/** Decides by the operator's policy (protocol/egress-policy.ts) what the functions of a namespace may fetch. */
import {
  matchesHost,
  parseHostPattern,
  type Destination,
  type EgressPolicy,
  type EgressRules,
  type HostPattern,
} from "../protocol/egress-policy.ts";
import { blockContains, parseBlock, type AddressBlock } from "../protocol/ip-address.ts";

export type Verdict =
  /** `network`: through which the destination is reached. */
  | { readonly ok: true; readonly network: "public" | "private" }
  /** `setting`: the part of the policy that refused it. */
  | { readonly ok: false; readonly setting: string };

interface Rules {
  /** Where they stand in the policy; null: there is no such list. */
  readonly allow: { readonly setting: string; readonly patterns: readonly HostPattern[] } | null;
  readonly deny: readonly { readonly setting: string; readonly pattern: HostPattern }[];
  readonly allowPrivate: readonly AddressBlock[];
}

export class Policy {
  /** Of namespaces without an entry, and of requests of which nobody knows the namespace. */
  readonly #default: Rules;
  readonly #namespaces: ReadonlyMap<string, Rules>;

  /** The policy was checked when the platform started. */
  constructor({ default: base = {}, namespaces = {} }: EgressPolicy) {
    this.#default = compile(base, {}, "");
    this.#namespaces = new Map(
      Object.entries(namespaces).map(([name, own]) => [name, compile(base, own, name)]),
    );
  }

  judge(namespace: string | undefined, destination: Destination): Verdict {
    const rules = this.#namespaces.get(namespace ?? "") ?? this.#default;
    const denied = rules.deny.find(({ pattern }) => matchesHost(pattern, destination));
    if (denied !== undefined) {
      return { ok: false, setting: `${denied.setting}: ${denied.pattern.text}` };
    }
    const { address } = destination;
    if (address !== undefined && rules.allowPrivate.some((it) => blockContains(it, address))) {
      return { ok: true, network: "private" };
    }
    if (rules.allow?.patterns.some((pattern) => matchesHost(pattern, destination)) === false) {
      return { ok: false, setting: `${rules.allow.setting} does not name it` };
    }
    return { ok: true, network: "public" };
  }
}

function compile(base: EgressRules, own: EgressRules, namespace: string): Rules {
  const allow = own.allow ?? base.allow;
  const ownSetting = `namespaces.${namespace}`;
  return {
    allow:
      allow === undefined
        ? null
        : {
            setting: `${own.allow === undefined ? "default" : ownSetting}.allow`,
            patterns: allow.map(pattern),
          },
    deny: [
      ...(base.deny ?? []).map((text) => ({ setting: "default.deny", pattern: pattern(text) })),
      ...(own.deny ?? []).map((text) => ({
        setting: `${ownSetting}.deny`,
        pattern: pattern(text),
      })),
    ],
    allowPrivate: (own.allowPrivate ?? base.allowPrivate ?? []).map(block),
  };
}

function pattern(text: string): HostPattern {
  const parsed = parseHostPattern(text);
  if (parsed === undefined) throw new Error(`egress policy: not a host pattern: ${text}`);
  return parsed;
}

function block(text: string): AddressBlock {
  const parsed = parseBlock(text);
  if (parsed === undefined) throw new Error(`egress policy: not a block of addresses: ${text}`);
  return parsed;
}
