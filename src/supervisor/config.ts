/**
 * The options of a platform: one table, each default beside its check. The command line is read into it and
 * its help is printed from it; everything after `readConfig` sees only checked, complete values.
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { EgressPolicy } from "../protocol/egress-policy.ts";
import { LIMIT_NAMES, type PlatformLimits } from "../protocol/limits.ts";
import { ISOLATIONS, type CellCounts, type Isolation } from "../protocol/placement.ts";
import { readEgressPolicy } from "./egress-policy.ts";
import { readLimitTexts, readPlatformLimits } from "./limit-options.ts";
import { readSecretKeyVariable } from "./secret-keys.ts";
import { StartError } from "./start-error.ts";

export interface PlatformConfig {
  /** Absolute. Need not exist yet. */
  readonly data: string;
  /** TCP ports; 0 means any free one. */
  readonly port: number;
  readonly httpsPort: number;
  readonly apiPort: number;
  /** Where HTTP and HTTPS listen. */
  readonly host: string;
  readonly apiHost: string;
  /** Functions answer at `<script>.<namespace>.<baseDomain>`. */
  readonly baseDomain: string;
  readonly edges: number;
  /** How connections come to edges (listening-sockets.ts). */
  readonly accept: "spread" | "shared";
  /** Absolute path of an ES module; undefined: the dispatcher that comes with Skep. */
  readonly dispatcher: string | undefined;
  /** Absolute paths of PEM files; undefined: certificates of the local CA. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly serverTiming: boolean;
  readonly flushIntervalMs: number;
  /** Where functions run for which nobody said more. */
  readonly isolation: Isolation;
  /** Cells for functions on probation. */
  readonly probation: number;
  /** Blank cells that wait to take another's place. */
  readonly spares: number;
  /** Dedicated cells, at most. */
  readonly cells: number;
  /** Isolates that an edge or cell keeps. */
  readonly isolates: number;
  /** What an edge or a probation cell may take before it is replaced. */
  readonly edgeMemoryMb: number;
  readonly limits: PlatformLimits;
  /** Whether to start only with a whole sandbox. */
  readonly requireSandbox: boolean;
  readonly egressPolicy: EgressPolicy;
  /** Keys that seal secrets, instead of the data directory's; undefined: that has them. */
  readonly secretKeys: string | undefined;
}

export interface Surroundings {
  /** Relative paths start here. */
  readonly workingDirectory: string;
  readonly cores: number;
  readonly memoryMb: number;
  /** The text of SKEP_SECRET_KEY. */
  readonly secretKeys?: string | undefined;
}

interface Option<T> {
  /** What stands for the value in help texts. */
  readonly placeholder: string;
  readonly help: string;
  /** As it is written on the command line; a function if it depends on the machine. */
  readonly default?: string | ((around: Surroundings) => string);
  /** Returns undefined for a value that is not `expected`. */
  readonly read: (text: string, around: Surroundings) => T | undefined;
  readonly expected: string;
}

const option = <T>(it: Option<T>): Option<T> => it;

const port = (defaultPort: string, help: string) =>
  option({
    placeholder: "PORT",
    help: `${help}; 0 means any free port`,
    default: defaultPort,
    read: (text) => readInteger(text, 0, 65_535),
    expected: "a port number from 0 to 65535",
  });

const host = (help: string) =>
  option({
    placeholder: "HOST",
    help,
    default: "127.0.0.1",
    read: (text) => (/^[\w.:-]+$/.test(text) ? text : undefined),
    expected: "an IP address or a host name",
  });

const file = (help: string) =>
  option({
    placeholder: "FILE",
    help,
    read: (text, { workingDirectory }) => {
      const path = resolve(workingDirectory, text);
      return statSync(path, { throwIfNoEntry: false })?.isFile() ? path : undefined;
    },
    expected: "a file that exists",
  });

const count = (min: number, max: number, defaultCount: string, help: string) =>
  option({
    placeholder: "N",
    help,
    default: defaultCount,
    read: (text) => readInteger(text, min, max),
    expected: `a whole number from ${min} to ${max}`,
  });

const limits = (help: string) =>
  option({
    placeholder: "NAME=VALUE,...",
    help,
    read: readLimitTexts,
    expected: `NAME=VALUE pairs with commas between; names are ${LIMIT_NAMES.join(", ")}`,
  });

/** A process dies when the V8 heaps in it come to 4 GB; a quarter is left for what comes between two looks. */
const HIGHEST_EDGE_MEMORY_MB = 3072;
/** An edge without any function takes some 60. */
const LOWEST_EDGE_MEMORY_MB = 256;

export const DATA_OPTION = option({
  placeholder: "DIR",
  help: "directory that holds everything the platform keeps",
  default: ".skep",
  read: (text, { workingDirectory }) => (text === "" ? undefined : resolve(workingDirectory, text)),
  expected: "the path of a directory",
});

export const START_OPTIONS = {
  data: DATA_OPTION,
  port: port("8787", "port for HTTP"),
  "https-port": port("8443", "port for HTTPS"),
  "api-port": port("8788", "port of the Cloudflare API, for wrangler"),
  host: host("address on which functions are served"),
  "api-host": host("address of the API; think twice before it is not loopback"),
  "base-domain": option({
    placeholder: "DOMAIN",
    help: "functions answer at <script>.<namespace>.DOMAIN",
    default: "localhost",
    read: (text) => (isDomain(text) ? text.toLowerCase() : undefined),
    expected: "a domain name such as functions.example.com",
  }),
  edges: option({
    placeholder: "N",
    help: "processes that serve functions; by default one per core",
    default: ({ cores }) => String(cores),
    read: (text) => readInteger(text, 1, 64),
    expected: "a whole number from 1 to 64",
  }),
  accept: option({
    placeholder: "spread|shared",
    help: "connections are spread over the edges, or wait in one queue for whichever edge is free",
    default: "spread",
    read: (text) => (text === "spread" || text === "shared" ? text : undefined),
    expected: "spread or shared",
  }),
  dispatcher: file("ES module to use as the dispatcher instead of Skep's own"),
  "tls-cert": file("PEM certificate chain to use instead of the local CA; needs --tls-key"),
  "tls-key": file("PEM private key of --tls-cert"),
  "server-timing": option({
    placeholder: "on|off",
    help: "whether answers explain cold starts in a Server-Timing header",
    default: "on",
    read: (text) => (text === "on" ? true : text === "off" ? false : undefined),
    expected: "on or off",
  }),
  "flush-interval-ms": option({
    placeholder: "MS",
    help: "how long metrics may wait in an edge, which loses that much when killed; 0: no metrics",
    default: "250",
    read: (text) => (text === "0" ? 0 : readInteger(text, 10, 60_000)),
    expected: "0, or a whole number of milliseconds from 10 to 60000",
  }),
  isolation: option({
    placeholder: ISOLATIONS.join("|"),
    help:
      "where functions of namespaces without a setting of their own run: in the edges once they have proven " +
      "themselves, at once, or never",
    default: "shared",
    read: (text) => ISOLATIONS.find((isolation) => isolation === text),
    expected: "shared, trusted or dedicated",
  }),
  probation: count(1, 16, "2", "processes for functions that have not proven themselves yet"),
  spares: count(0, 16, "2", "blank processes kept ready to take the place of one that was killed"),
  cells: count(1, 1024, "128", "functions that may have a process of their own at the same time"),
  isolates: count(
    10,
    1000,
    "500",
    "functions that an edge or cell keeps loaded; the least valuable end beyond that",
  ),
  "edge-memory": option({
    placeholder: "MB",
    help:
      "memory at which an edge or probation process is replaced; by default half of the machine's, shared " +
      `out among them, at most ${HIGHEST_EDGE_MEMORY_MB}`,
    read: (text) => readInteger(text, LOWEST_EDGE_MEMORY_MB, HIGHEST_EDGE_MEMORY_MB),
    expected: `a whole number of megabytes from ${LOWEST_EDGE_MEMORY_MB} to ${HIGHEST_EDGE_MEMORY_MB}`,
  }),
  limits: limits("limits of functions that set none, such as cpu_ms=50,memory_mb=128"),
  "max-limits": limits("the highest limits that functions may set"),
  "require-sandbox": option({
    placeholder: "on|off",
    help: "whether to refuse to start where processes cannot be sandboxed as skep doctor wants it",
    default: "off",
    read: (text) => (text === "on" ? true : text === "off" ? false : undefined),
    expected: "on or off",
  }),
  "egress-policy": file("JSON file that says which hosts functions may fetch (docs/egress.md)"),
} as const;

export type StartOptionName = keyof typeof START_OPTIONS;
export type StartOptionTexts = Readonly<Partial<Record<StartOptionName, string>>>;

/** @throws StartError whose message starts with the option's name. */
export function readConfig(texts: StartOptionTexts, around: Surroundings): PlatformConfig {
  const get = <N extends StartOptionName>(name: N) => readOption(name, texts[name], around);
  const certFile = get("tls-cert");
  const keyFile = get("tls-key");
  if (certFile !== undefined && keyFile === undefined) {
    throw new StartError("--tls-cert: needs --tls-key, the private key of that certificate");
  }
  if (keyFile !== undefined && certFile === undefined) {
    throw new StartError("--tls-key: needs --tls-cert, the certificate of that key");
  }
  const policyFile = get("egress-policy");
  const edges = required(get("edges"));
  const probation = required(get("probation"));
  const config: PlatformConfig = {
    data: required(get("data")),
    port: required(get("port")),
    httpsPort: required(get("https-port")),
    apiPort: required(get("api-port")),
    host: required(get("host")),
    apiHost: required(get("api-host")),
    baseDomain: required(get("base-domain")),
    edges,
    accept: required(get("accept")),
    dispatcher: get("dispatcher"),
    tls: certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : undefined,
    serverTiming: required(get("server-timing")),
    flushIntervalMs: required(get("flush-interval-ms")),
    isolation: required(get("isolation")),
    probation,
    isolates: required(get("isolates")),
    spares: required(get("spares")),
    cells: required(get("cells")),
    edgeMemoryMb: get("edge-memory") ?? fairEdgeMemoryMb(around.memoryMb, edges + probation),
    limits: readPlatformLimits(get("limits"), get("max-limits")),
    requireSandbox: required(get("require-sandbox")),
    egressPolicy: policyFile === undefined ? {} : readEgressPolicy(policyFile),
    secretKeys:
      around.secretKeys === undefined ? undefined : readSecretKeyVariable(around.secretKeys),
  };
  refuseSamePorts(config);
  return config;
}

export function cellCounts({ probation, cells }: PlatformConfig): CellCounts {
  return { probation, total: probation + cells };
}

type ValueOf<N extends StartOptionName> =
  (typeof START_OPTIONS)[N] extends Option<infer T> ? T : never;

export function readOption<N extends StartOptionName>(
  name: N,
  text: string | undefined,
  around: Surroundings,
): ValueOf<N> | undefined {
  const option = START_OPTIONS[name] as Option<ValueOf<N>>;
  const given = text ?? defaultText(option, around);
  if (given === undefined) return undefined;
  const value = option.read(given, around);
  if (value === undefined) {
    throw new StartError(`--${name}: expected ${option.expected}, got ${JSON.stringify(given)}`);
  }
  return value;
}

export function defaultText(
  option: Pick<Option<unknown>, "default">,
  around: Surroundings,
): string | undefined {
  return typeof option.default === "function" ? option.default(around) : option.default;
}

/** For options with a default, whose value is therefore always there. */
function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError("an option without a default was taken as required");
  return value;
}

function fairEdgeMemoryMb(memoryMb: number, processes: number): number {
  const share = Math.floor(memoryMb / 2 / processes);
  return Math.min(HIGHEST_EDGE_MEMORY_MB, Math.max(LOWEST_EDGE_MEMORY_MB, share));
}

function refuseSamePorts({ port, httpsPort, apiPort }: PlatformConfig): void {
  const named = [
    ["port", port],
    ["https-port", httpsPort],
    ["api-port", apiPort],
  ] as const;
  for (const [index, [name, number]] of named.entries()) {
    const other = named.slice(0, index).find(([, earlier]) => number !== 0 && earlier === number);
    if (other) throw new StartError(`--${name}: ${number} is the port of --${other[0]} already`);
  }
}

function readInteger(text: string, min: number, max: number): number | undefined {
  const value = Number(text);
  return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined;
}

function isDomain(text: string): boolean {
  const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  return text.length <= 200 && new RegExp(`^${label}(\\.${label})*$`, "i").test(text);
}
