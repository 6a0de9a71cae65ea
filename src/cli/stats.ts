/** The table of `skep stats`: one line per function, the busiest first; and one per kind if it gets events. */
import type { MetricsSummary, NamespaceMetrics } from "../protocol/metrics-report.ts";
import { COLD_PHASES } from "../protocol/telemetry.ts";

/** A function; or, below it, what it did of one kind. */
interface FunctionMetrics {
  readonly script: string;
  readonly place: { readonly kind: string; readonly why: string };
  readonly summary: MetricsSummary;
}

interface Column {
  readonly title: string;
  readonly cell: (of: FunctionMetrics) => string;
  /** Text is aligned to the left, numbers to the right. */
  readonly text?: true;
}

/** Ended by a limit, or refused because of one. */
const LIMITED = ["exceededCpu", "exceededMemory", "exceededWallTime", "loadShed"] as const;

const COLUMNS: readonly Column[] = [
  { title: "function", cell: ({ script }) => script, text: true },
  { title: "place", cell: ({ place }) => place.kind, text: true },
  { title: "requests", cell: ({ summary }) => String(summary.requests) },
  { title: "err %", cell: ({ summary }) => percent(summary.errors, summary.requests) },
  { title: "again", cell: ({ summary }) => String(summary.retries) },
  { title: "lim", cell: ({ summary }) => String(limited(summary)) },
  { title: "cpu ms", cell: ({ summary }) => milliseconds(summary.cpuMs?.mean, 2) },
  { title: "p50 ms", cell: ({ summary }) => milliseconds(summary.wallMs?.p50, 0) },
  { title: "p99 ms", cell: ({ summary }) => milliseconds(summary.wallMs?.p99, 0) },
  { title: "cold", cell: ({ summary }) => String(summary.coldStarts) },
  ...COLD_PHASES.map((phase) => ({
    title: phase,
    cell: ({ summary }: FunctionMetrics) => milliseconds(summary.phasesMs[phase]?.p50, 0),
  })),
  // Last, so that a narrow terminal cuts it off first.
  { title: "why", cell: ({ place }) => place.why, text: true },
];

/** Requests alone need no line of their own. */
function linesOf(of: NamespaceMetrics["functions"][number]): FunctionMetrics[] {
  if (of.kinds.every(({ kind }) => kind === "fetch")) return [of];
  const place = { kind: "", why: "" };
  const byKind = of.kinds.map(({ kind, ...summary }) => ({ script: `  ${kind}`, place, summary }));
  return [of, ...byKind];
}

function limited({ outcomes }: MetricsSummary): number {
  return LIMITED.reduce((sum, outcome) => sum + (outcomes[outcome] ?? 0), 0);
}

const GAP = "  ";

/** Lines without line ends. `cpu ms` is a mean, the phases are medians of the cold starts, `lim` is what limits cost, `again` are retries of events. */
export function renderStats(metrics: NamespaceMetrics): string[] {
  const sorted = metrics.functions.toSorted(
    (a, b) => b.summary.requests - a.summary.requests || a.script.localeCompare(b.script),
  );
  const rows = [
    COLUMNS.map(({ title }) => title),
    ...sorted.flatMap(linesOf).map((of) => COLUMNS.map(({ cell }) => cell(of))),
  ];
  const widths = COLUMNS.map((_column, index) =>
    Math.max(...rows.map((row) => row[index]?.length ?? 0)),
  );
  const table = rows.map((row) =>
    row
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return COLUMNS[index]?.text ? cell.padEnd(width) : cell.padStart(width);
      })
      .join(GAP)
      .trimEnd(),
  );
  if (sorted.length === 0) table.push(`no function in namespace ${metrics.namespace}`);
  return [heading(metrics), "", ...table];
}

export interface WatchOptions {
  readonly fetchMetrics: () => Promise<NamespaceMetrics>;
  readonly output: Pick<NodeJS.WriteStream, "write" | "isTTY" | "columns" | "rows">;
  /** Ends the loop; the promise then resolves. */
  readonly signal: AbortSignal;
  /** @default 2000 */
  readonly intervalMs?: number;
}

/**
 * Shows the table again and again: in place on a terminal, one after the other elsewhere. A failed read
 * is shown in the place of the heading and tried again; the last table stays.
 */
export async function watchStats(options: WatchOptions): Promise<void> {
  const { fetchMetrics, output, signal, intervalMs = 2_000 } = options;
  let lines: string[] = [];
  let drawn = 0;
  while (!signal.aborted) {
    try {
      lines = renderStats(await fetchMetrics());
    } catch (error) {
      lines = [`cannot read metrics: ${messageOf(error)}`, ...lines.slice(1)];
    }
    if (signal.aborted) return;
    const shown = output.isTTY ? fit(lines, output.columns, output.rows) : [...lines, ""];
    // Up to the first line that was drawn before, then erase to the end of the screen.
    const home = output.isTTY && drawn > 0 ? `\u001B[${drawn}F\u001B[J` : "";
    output.write(`${home}${shown.join("\n")}\n`);
    drawn = shown.length;
    await sleep(intervalMs, signal);
  }
}

/** A line that wraps or scrolls away would be missed by the next redraw. */
function fit(lines: readonly string[], columns = 80, rows = 24): string[] {
  return lines.slice(0, Math.max(1, rows - 1)).map((line) => line.slice(0, columns - 1));
}

function heading({ namespace, sinceMs, untilMs }: NamespaceMetrics): string {
  const minutes = Math.round((untilMs - sinceMs) / 60_000);
  const span = minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
  return `${namespace}, ${span} until ${new Date(untilMs).toISOString().slice(0, 19)}Z`;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "-" : ((100 * part) / whole).toFixed(1);
}

/** The clock's step is 1 ms: a median of 0 means less than that. */
function milliseconds(value: number | undefined, digits: number): string {
  if (value === undefined) return "-";
  if (digits > 0) return value.toFixed(digits);
  return value < 0.5 ? "<1" : value.toFixed(0);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
