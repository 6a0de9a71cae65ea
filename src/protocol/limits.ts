/**
 * The limits of a function: one table that every part reads, from the command line to the edge. Effective is
 * what the version says (`limits` of its wrangler configuration), else its script, its namespace, the
 * platform; and never more than the operator's maximum. The hub works it out; edges and cells obey.
 */

interface LimitDefinition {
  readonly unit: string;
  readonly default: number;
  /** The operator's maximum, unless set otherwise. */
  readonly maximum: number;
  /** The smallest value that makes sense. */
  readonly minimum: number;
  readonly help: string;
}

/** 0 stands for "no limit" where `minimum` is 0, except for `min_warm`. */
export const LIMITS = {
  cpu_ms: {
    unit: "ms",
    default: 50,
    maximum: 30_000,
    minimum: 5,
    help: "CPU time of an invocation",
  },
  memory_mb: {
    unit: "MiB",
    default: 128,
    maximum: 1024,
    minimum: 16,
    help: "memory of a function, enforced in a cell of its own",
  },
  wall_ms: {
    unit: "ms",
    default: 30_000,
    maximum: 900_000,
    minimum: 10,
    help: "time until the head of the response",
  },
  subrequests: {
    unit: "",
    default: 50,
    maximum: 10_000,
    minimum: 1,
    help: "fetch() calls of an invocation",
  },
  request_body_mb: {
    unit: "MiB",
    default: 100,
    maximum: 1024,
    minimum: 1,
    help: "size of a request's body",
  },
  response_body_mb: {
    unit: "MiB",
    default: 1024,
    maximum: 65_536,
    minimum: 1,
    help: "size of a response's body; in edges only if below the default",
  },
  concurrency: {
    unit: "",
    default: 1_000,
    maximum: 10_000,
    minimum: 1,
    help: "invocations of a function under way at once, per edge",
  },
  namespace_concurrency: {
    unit: "",
    default: 5_000,
    maximum: 50_000,
    minimum: 1,
    help: "invocations of all functions of a namespace under way at once, per edge",
  },
  requests_per_second: {
    unit: "/s",
    default: 0,
    maximum: 1_000_000,
    minimum: 0,
    help: "requests to a function, over all edges; 0: no limit",
  },
  min_warm: {
    unit: "isolates",
    default: 0,
    maximum: 16,
    minimum: 0,
    help: "isolates of a function that stay loaded however idle it is",
  },
  storage_mb: {
    unit: "MiB",
    default: 10_240,
    maximum: 1_048_576,
    minimum: 1,
    help: "what the functions of a namespace keep, of all kinds together",
  },
  kv_keys: {
    unit: "keys",
    default: 1_000_000,
    maximum: 100_000_000,
    minimum: 1,
    help: "keys in the KV namespaces of a namespace",
  },
  r2_objects: {
    unit: "objects",
    default: 1_000_000,
    maximum: 100_000_000,
    minimum: 1,
    help: "objects in the R2 buckets of a namespace",
  },
  queue_messages: {
    unit: "messages",
    default: 1_000_000,
    maximum: 100_000_000,
    minimum: 1,
    help: "messages that wait in the queues of a namespace",
  },
} as const satisfies Record<string, LimitDefinition>;

export type LimitName = keyof typeof LIMITS;
export const LIMIT_NAMES = Object.keys(LIMITS) as readonly LimitName[];

/** Of all functions of a namespace together: one function cannot have them. */
export const NAMESPACE_LIMITS: readonly LimitName[] = [
  "namespace_concurrency",
  "storage_mb",
  "kv_keys",
  "r2_objects",
  "queue_messages",
];

/** All limits of one function, as they hold. */
export type Limits = Readonly<Record<LimitName, number>>;
/** Some limits, as somebody set them. */
export type LimitSettings = Readonly<Partial<Record<LimitName, number>>>;

/** What the operator set for the whole platform. */
export interface PlatformLimits {
  readonly defaults: Limits;
  readonly maxima: Limits;
}

export const DEFAULT_PLATFORM_LIMITS: PlatformLimits = {
  defaults: pick("default"),
  maxima: pick("maximum"),
};

/** CPU time that compiling and top-level code may take. */
export const STARTUP_CPU_MS = 400;

/** `waitUntil` work may go on for so long after the response. */
export const WAIT_UNTIL_MS = 30_000;

/** How deep functions may call functions through public addresses or dispatch. */
export const MAX_HOPS = 16;

/** The first of `settings` that has a limit decides, then the platform; none exceeds the maximum. */
export function effectiveLimits(
  { defaults, maxima }: PlatformLimits,
  ...settings: readonly LimitSettings[]
): Limits {
  const limits: Partial<Record<LimitName, number>> = {};
  for (const name of LIMIT_NAMES) {
    const set = settings.find((each) => each[name] !== undefined)?.[name] ?? defaults[name];
    limits[name] = Math.min(set, maxima[name]);
  }
  return limits as Limits;
}

function pick(field: "default" | "maximum"): Limits {
  return Object.fromEntries(LIMIT_NAMES.map((name) => [name, LIMITS[name][field]])) as Limits;
}
