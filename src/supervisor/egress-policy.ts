/** Reads the operator's egress policy and checks it, so that a mistake ends the start and opens nothing. */
import { readFileSync } from "node:fs";
import {
  parseHostPattern,
  type EgressPolicy,
  type EgressRules,
} from "../protocol/egress-policy.ts";
import { blockCovers, parseBlock, type AddressBlock } from "../protocol/ip-address.ts";
import { StartError } from "./start-error.ts";

const OPTION = "--egress-policy";

const PRIVATE_IPV4 = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
];

/** What `allowPrivate` may open: the rest is public, and reachable without it. */
const PRIVATE_BLOCKS = [...PRIVATE_IPV4, "::1", "fc00::/7", "fe80::/10"].map(
  (text) => parseBlock(text) as AddressBlock,
);

/**
 * IPv6 addresses that stand for IPv4 ones where a router translates them, which workerd takes for public:
 * IPv4-compatible ones, NAT64 within a network, Teredo, 6to4. Hosts without IPv4 need public NAT64: of that only
 * what stands for private addresses.
 */
const TUNNELS = ["::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"].concat(
  PRIVATE_IPV4.map((block) => {
    const [address, length] = block.split("/");
    return `64:ff9b::${address}/${96 + Number(length)}`;
  }),
);

/** @throws StartError that names the file and the place in it. */
export function readEgressPolicy(file: string): EgressPolicy {
  let policy: unknown;
  try {
    policy = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new StartError(`${OPTION}: ${file} is not JSON: ${(error as Error).message}`);
  }
  const fail: Fail = (place, problem) => {
    throw new StartError(`${OPTION}: ${file}: ${place} ${problem}`);
  };
  const { default: base, namespaces, ...others } = readObject(policy, "the policy", fail);
  refuseOthers(others, "", "default, namespaces", fail);
  return {
    ...(base === undefined ? {} : { default: readRules(base, "default", fail) }),
    ...(namespaces === undefined ? {} : { namespaces: readNamespaces(namespaces, fail) }),
  };
}

/** All blocks of private addresses that the policy opens to anybody, as workerd writes them. */
export function privateBlocks({ default: base, namespaces = {} }: EgressPolicy): string[] {
  const all = [base, ...Object.values(namespaces)].flatMap((rules) => rules?.allowPrivate ?? []);
  return [...new Set(all.map(withLength))];
}

/** Blocks that nobody may reach, not even by a name that leads to one, as workerd writes them. */
export function deniedBlocks({ default: base }: EgressPolicy): string[] {
  const denied = base?.deny?.filter((text) => parseBlock(text) !== undefined) ?? [];
  return [...TUNNELS, ...denied.map(withLength)];
}

function withLength(block: string): string {
  if (block.includes("/")) return block;
  return `${block}/${block.includes(":") ? 128 : 32}`;
}

type Fail = (place: string, problem: string) => never;

function readNamespaces(value: unknown, fail: Fail): Record<string, EgressRules> {
  const entries = Object.entries(readObject(value, "namespaces", fail));
  return Object.fromEntries(
    entries.map(([name, rules]) => [name, readRules(rules, `namespaces.${name}`, fail)]),
  );
}

function readRules(value: unknown, place: string, fail: Fail): EgressRules {
  const { allow, deny, allowPrivate, ...others } = readObject(value, place, fail);
  refuseOthers(others, `${place}.`, "allow, deny, allowPrivate", fail);
  return {
    ...(allow === undefined ? {} : { allow: readList(allow, `${place}.allow`, isPattern, fail) }),
    ...(deny === undefined ? {} : { deny: readList(deny, `${place}.deny`, isPattern, fail) }),
    ...(allowPrivate === undefined
      ? {}
      : { allowPrivate: readList(allowPrivate, `${place}.allowPrivate`, isPrivate, fail) }),
  };
}

interface Check {
  readonly holds: (text: string) => boolean;
  readonly expected: string;
}

const isPattern: Check = {
  holds: (text) => parseHostPattern(text) !== undefined,
  expected: "a host such as api.example.com, *.example.com or 192.0.2.0/24, with or without :port",
};

const isPrivate: Check = {
  holds: (text) => {
    const block = parseBlock(text);
    return block !== undefined && PRIVATE_BLOCKS.some((whole) => blockCovers(whole, block));
  },
  expected: "a block of private addresses such as 10.1.0.0/16",
};

function readList(value: unknown, place: string, check: Check, fail: Fail): string[] {
  if (!Array.isArray(value)) return fail(place, "is not a list");
  return value.map((item: unknown, index) =>
    typeof item === "string" && check.holds(item)
      ? item
      : fail(`${place}[${index}]`, `is ${JSON.stringify(item)}, expected ${check.expected}`),
  );
}

function readObject(value: unknown, place: string, fail: Fail): Record<string, unknown> {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : fail(place, "is not an object");
}

/** A misspelt list would silently open what it was to close. */
function refuseOthers(others: object, place: string, known: string, fail: Fail): void {
  const [other] = Object.keys(others);
  if (other !== undefined) fail(`${place}${other}`, `is unknown; there are ${known}`);
}
