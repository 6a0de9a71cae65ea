/** What the API answers, as answers.ts: reports, of metrics, logs, data points, rollouts and the audit log. */
import * as z from "zod";
import {
  COLD_PHASES,
  INVOCATION_KINDS,
  OUTCOMES,
  STATUS_CLASSES,
} from "../../protocol/telemetry.ts";

const time = z.iso.datetime();
const unixMs = z.number().min(0);
const count = z.int().min(0);
const optionalText = z.string().nullable();

const distribution = z.strictObject({
  count,
  mean: z.number(),
  p50: z.number(),
  p90: z.number(),
  p99: z.number(),
});

const summary = z.strictObject({
  requests: count,
  errors: count,
  outcomes: z.partialRecord(z.enum(OUTCOMES), count),
  statuses: z.partialRecord(z.enum(STATUS_CLASSES), count),
  requestBytes: count,
  responseBytes: count,
  wallMs: distribution.nullable(),
  cpuMs: distribution.nullable(),
  coldStarts: count,
  retries: count,
  phasesMs: z.partialRecord(z.enum(COLD_PHASES), distribution),
});

const kinds = z.array(summary.extend({ kind: z.enum(INVOCATION_KINDS) }));

/** As `MetricsSeries`. */
export const scriptMetrics = z.strictObject({
  sinceMs: unixMs,
  untilMs: unixMs,
  stepSeconds: z.number().nullable(),
  points: z.array(summary.extend({ startMs: unixMs })),
  summary,
  versions: z.array(summary.extend({ versionId: z.string() })),
  kinds,
});

/** As `NamespaceMetrics`. */
export const namespaceMetrics = z.strictObject({
  namespace: z.string(),
  sinceMs: unixMs,
  untilMs: unixMs,
  functions: z.array(
    z.strictObject({
      script: z.string(),
      place: z.strictObject({ kind: z.string(), why: z.string() }),
      summary,
      kinds,
    }),
  ),
});

/** As `TraceEvent`; what `event` has is its handler's. */
const logEvent = z.strictObject({
  id: count,
  outcome: z.enum(OUTCOMES),
  scriptName: z.string(),
  scriptVersion: z.strictObject({ id: z.string() }),
  scriptTags: z.array(z.string()),
  dispatchNamespace: z.string().optional(),
  entrypoint: z.string().optional(),
  logs: z.array(z.strictObject({ message: z.unknown(), level: z.string(), timestamp: z.number() })),
  exceptions: z.array(
    z.strictObject({
      name: z.string(),
      message: z.string(),
      timestamp: z.number(),
      stack: z.string().optional(),
    }),
  ),
  diagnosticsChannelEvents: z.array(z.unknown()),
  eventTimestamp: unixMs,
  wallTime: z.number(),
  cpuTime: z.number(),
  truncated: z.boolean(),
  executionModel: z.string(),
  event: z.record(z.string(), z.unknown()).nullable(),
});

export const logs = z.strictObject({ events: z.array(logEvent), cursor: optionalText });

export const dataset = z.strictObject({
  dataset: z.string(),
  points: count,
  oldest: unixMs,
  newest: unixMs,
});

/** Points themselves, or a column for each of `select` and `group`. */
export const dataPoints = z.array(
  z.union([
    z.strictObject({
      timestamp: unixMs,
      index1: optionalText,
      blobs: z.array(optionalText),
      doubles: z.array(z.number()),
    }),
    z.record(z.string(), z.union([z.string(), z.number()]).nullable()),
  ]),
);

const requests = z.strictObject({ candidate: count, baseline: count });
const check = z.strictObject({
  rule: z.string(),
  metric: z.string(),
  candidate: z.number().nullable(),
  baseline: z.number().nullable(),
  limit: z.number().nullable(),
  state: z.enum(["kept", "unsure", "broken"]),
});
const checks = z.array(check);

export const changeFeed = z.strictObject({
  id: z.string(),
  binding: z.string(),
  kind: z.enum(["kv", "d1", "r2"]),
  resource_id: z.string(),
  actions: z.array(z.string()),
  tables: z.array(z.string()).optional(),
  prefix: z.string().optional(),
  suffix: z.string().optional(),
  batch_size: count,
  max_wait_ms: count,
  max_retries: count.optional(),
  retry_delay: count.optional(),
  dead_letter_queue: z.string().optional(),
  created_on: time,
  position: count.optional(),
  waiting: count.optional(),
});

export const rollout = z.strictObject({
  id: z.string(),
  state: z.enum(["running", "promoted", "rolled-back", "aborted", "superseded"]),
  version_id: z.string(),
  previous_version_id: z.string(),
  percentage: z.number().nullable(),
  steps: z.array(z.number()),
  interval_seconds: z.number(),
  min_requests: count,
  abort_on: z.string(),
  author: z.string(),
  started_on: time,
  step_started_on: time,
  ended_on: time.nullable(),
  latest: z
    .strictObject({
      verdict: z.enum(["advance", "wait", "roll-back"]),
      why: z.string(),
      requests,
      checks,
      at: time,
    })
    .nullable(),
  decisions: z.array(
    z.strictObject({
      at: time,
      action: z.enum(["started", "advanced", "promoted", "rolled-back", "aborted", "superseded"]),
      percentage: z.number().nullable(),
      why: z.string(),
      requests: requests.optional(),
      checks: checks.optional(),
    }),
  ),
});

const facts = z.record(z.string(), z.unknown()).nullable();

export const auditEntry = z.strictObject({
  id: z.string(),
  when: time,
  action: z.strictObject({ type: z.string(), result: z.literal(true) }),
  actor: z.strictObject({
    id: z.string(),
    email: z.string(),
    ip: z.string(),
    type: z.literal("user"),
  }),
  interface: z.literal("API"),
  owner: z.strictObject({ id: z.string() }),
  resource: z.strictObject({ type: z.string(), id: z.string() }),
  oldValueJson: facts,
  newValueJson: facts,
});
