/**
 * Reading metrics: of one function over time, of all functions of a namespace, and of everything the
 * token may see in Prometheus' format. Ours, not Cloudflare's: there, metrics are in the GraphQL API.
 */
import type { FunctionMetrics } from "../dispatcher/function-metrics.ts";
import { forEachBounded } from "../hub/for-each-bounded.ts";
import type {
  KindTotals,
  MetricsSeries,
  NamespaceMetrics,
  SeriesQuery,
} from "../protocol/metrics-report.ts";
import { derivePlace } from "../registry/trust.ts";
import { readProcesses } from "../registry/supervisor.ts";
import { mayTouch } from "./auth.ts";
import {
  accountId,
  isolationOf,
  namespaceOf,
  registry,
  scriptOf,
  type ApiContext,
} from "./context.ts";
import { ok } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { renderPlatform } from "./metrics-platform.ts";
import {
  PROMETHEUS_CONTENT_TYPE,
  renderPrometheus,
  type FunctionTotals,
} from "./metrics-prometheus.ts";
import { parseRange } from "./metrics-range.ts";

/** Objects that are read at a time; those that slept are loaded from disk for it. */
const MAX_CONCURRENT = 32;

/** `GET …/namespaces/{namespace}/scripts/{script}/metrics?since=&until=&step=` -> MetricsSeries */
export async function getScriptMetrics(c: ApiContext): Promise<Response> {
  const query = range(c, true);
  const { id } = await namespaceOf(c);
  const { name } = await scriptOf(c);
  return ok(c, await readScript(metricsReader(c.env.FUNCTION_METRICS), `${id}/${name}`, query));
}

/** `GET …/namespaces/{namespace}/metrics?since=&until=`, or `…/workers/metrics` -> NamespaceMetrics */
export async function getNamespaceMetrics(c: ApiContext): Promise<Response> {
  const query = range(c, false);
  const namespace = await namespaceOf(c);
  const { id, name } = namespace;
  const isolation = isolationOf(c, namespace);
  const functions = (await registry(c).scripts(id)).map((script) => {
    const { kind, why } = derivePlace(script.trust, script.isStateful ? "dedicated" : isolation);
    return { script: script.name, place: { kind, why } };
  });
  return ok(
    c,
    await readNamespace(metricsReader(c.env.FUNCTION_METRICS), { id, name, functions }, query),
  );
}

/** `GET /metrics`: of the token's namespaces, the account's own Workers among them. */
export async function getPrometheus(c: ApiContext): Promise<Response> {
  const visible = new Set<string>();
  const account = accountId(c);
  const own = await registry(c).accountNamespace(account);
  for (const { id, name } of [own, ...(await registry(c).namespaces(account))]) {
    if (mayTouch(c, name)) visible.add(id);
  }
  const [processes, trustChanges, functions] = await Promise.all([
    readProcesses(c.env.SUPERVISOR),
    registry(c).trustChanges(),
    registry(c).functions(),
  ]);
  if (!processes.ok) console.error(`metrics without those of processes: ${processes.failure}`);
  const shown = functions.filter(({ namespaceId }) => visible.has(namespaceId));
  const text = await readPrometheus(metricsReader(c.env.FUNCTION_METRICS), shown);
  const ofPlatform = renderPlatform({
    processes: processes.ok ? processes.value : null,
    trustChanges,
    functions: shown,
  });
  return c.body(text + ofPlatform, 200, { "content-type": PROMETHEUS_CONTENT_TYPE });
}

/** What is read of the FunctionMetrics objects. */
export interface MetricsReader {
  getByName(name: string): {
    series(query: SeriesQuery): Promise<MetricsSeries>;
    totals(): Promise<readonly KindTotals[]>;
  };
}

/** The types that workerd derives for RPC turn tuples into arrays, hence the cast. */
export function metricsReader(objects: DurableObjectNamespace<FunctionMetrics>): MetricsReader {
  return objects as unknown as MetricsReader;
}

export async function readScript(
  objects: MetricsReader,
  name: string,
  query: SeriesQuery,
): Promise<MetricsSeries> {
  return objects.getByName(name).series(query);
}

export async function readNamespace(
  objects: MetricsReader,
  namespace: {
    readonly id: string;
    readonly name: string;
    readonly functions: readonly Omit<NamespaceMetrics["functions"][number], "summary" | "kinds">[];
  },
  query: SeriesQuery,
): Promise<NamespaceMetrics> {
  const summaries = new Map<string, Pick<MetricsSeries, "summary" | "kinds">>();
  await forEachBounded(namespace.functions, MAX_CONCURRENT, async ({ script }) => {
    const { summary, kinds } = await readScript(objects, `${namespace.id}/${script}`, query);
    summaries.set(script, { summary, kinds });
  });
  return {
    namespace: namespace.name,
    sinceMs: query.sinceMs,
    untilMs: query.untilMs,
    functions: namespace.functions.flatMap((each) => {
      const summary = summaries.get(each.script);
      return summary === undefined ? [] : [{ ...each, ...summary }];
    }),
  };
}

export async function readPrometheus(
  objects: MetricsReader,
  functions: readonly { namespaceId: string; namespace: string; script: string }[],
): Promise<string> {
  const totals = new Map<string, FunctionTotals>();
  await forEachBounded(functions, MAX_CONCURRENT, async ({ namespaceId, namespace, script }) => {
    const name = `${namespaceId}/${script}`;
    totals.set(name, { namespace, script, totals: await objects.getByName(name).totals() });
  });
  // In the order asked for, so that two scrapes can be compared.
  return renderPrometheus(
    functions.flatMap(({ namespaceId, script }) => totals.get(`${namespaceId}/${script}`) ?? []),
  );
}

function range(c: ApiContext, points: boolean): SeriesQuery {
  const parsed = parseRange(c.req.query(), Date.now(), points);
  if (!parsed.ok) throw new ApiError("invalid", parsed.message);
  return parsed.value;
}
