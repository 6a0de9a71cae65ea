/**
 * What functions may fetch: the operator's policy, as it stands in a JSON file, and the host patterns in it.
 *
 *   { "default":    { "deny": ["*.internal.example.com", "203.0.113.0/24"] },
 *     "namespaces": { "billing": { "allow": ["api.stripe.com:443"], "allowPrivate": ["10.1.0.0/16"] } } }
 *
 * A namespace's `deny` is added to that of `default`; its `allow` and `allowPrivate` take the place of those of
 * `default`. Where there is an `allow` list, what it does not name is refused. `deny` wins over both.
 */
import { blockContains, parseAddress, parseBlock, type AddressBlock } from "./ip-address.ts";

export interface EgressRules {
  /** Host patterns. */
  readonly allow?: readonly string[];
  /** Host patterns. */
  readonly deny?: readonly string[];
  /**
   * Blocks of private addresses that may be fetched after all, if the URL names the address itself. A name never
   * leads to one, so that nobody can point a name of his own there.
   */
  readonly allowPrivate?: readonly string[];
}

export interface EgressPolicy {
  readonly default?: EgressRules;
  readonly namespaces?: Readonly<Record<string, EgressRules>>;
}

/**
 * `*`, `api.example.com`, `*.example.com`, `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`; each also with a port, as
 * in `192.0.2.0/24:443` or `[2001:db8::/32]:443`.
 */
export type HostPattern = {
  readonly text: string;
  /** undefined: every port. */
  readonly port: number | undefined;
} & (
  | { readonly kind: "any" }
  | { readonly kind: "name"; readonly name: string }
  /** With its leading dot: `.example.com`, which is every name below but not the name itself. */
  | { readonly kind: "below"; readonly suffix: string }
  /** Of hosts that are addresses; where a name leads to is not looked at. */
  | { readonly kind: "block"; readonly block: AddressBlock }
);

/** Where a request goes. */
export interface Destination {
  /** As URLs have it, without brackets and without a dot at the end. */
  readonly host: string;
  readonly port: number;
  /** undefined: the host is a name. */
  readonly address: bigint | undefined;
}

export function destinationOf({ protocol, hostname, port }: URL): Destination {
  const host = hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const defaultPort = protocol === "https:" || protocol === "wss:" ? 443 : 80;
  return {
    host,
    port: port === "" ? defaultPort : Number(port),
    address: parseAddress(host),
  };
}

export function matchesHost(pattern: HostPattern, { host, port, address }: Destination): boolean {
  if (pattern.port !== undefined && pattern.port !== port) return false;
  switch (pattern.kind) {
    case "any":
      return true;
    case "name":
      return host === pattern.name;
    case "below":
      return host.endsWith(pattern.suffix);
    case "block":
      return address !== undefined && blockContains(pattern.block, address);
  }
}

const NAME = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

/** undefined: it is not a pattern. */
export function parseHostPattern(text: string): HostPattern | undefined {
  const { host, port } = splitPort(text);
  if (port !== undefined && !(port >= 1 && port <= 65_535)) return undefined;
  const block = parseBlock(host);
  if (block !== undefined) return { kind: "block", text, port, block };
  if (host === "*") return { kind: "any", text, port };
  const name = host.replace(/^\*\./, "").replace(/\.$/, "");
  // A last label of digits is an address in the eyes of URLs, which write it in another way.
  if (!NAME.test(name) || /(?:^|\.)(?:\d+|0x[\da-f]*)$/.test(name)) return undefined;
  return host.startsWith("*.")
    ? { kind: "below", text, port, suffix: `.${name}` }
    : { kind: "name", text, port, name };
}

/** What has more than one colon and no brackets is IPv6 without a port. */
function splitPort(text: string): { host: string; port: number | undefined } {
  const [, bracketed, plain, portText] =
    /^(?:\[([^\]]*:[^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = (bracketed ?? plain ?? text).toLowerCase();
  return { host, port: portText === undefined ? undefined : Number(portText) };
}
