/**
 * One row of the report: a figure of ours, the same of what it is compared with, and their ratio. The
 * ratio is what counts; the figures only show its scale on the machine at hand.
 */
export interface Row {
  readonly section: string;
  readonly figure: string;
  readonly ours?: number;
  readonly baseline?: number;
  readonly against?: string;
  readonly unit: string;
  /** Defaults to `ours / baseline`. */
  readonly ratio?: number;
  /** What issue or documentation ask of the ratio, or of `ours` where there is no baseline. */
  readonly atMost?: number;
}

/** Whether the row keeps its bound; undefined if it has none. */
export function holds(row: Row): boolean | undefined {
  if (row.atMost === undefined) return undefined;
  const value = ratioOf(row) ?? row.ours;
  return value === undefined ? undefined : value <= row.atMost;
}

export function ratioOf({ ratio, ours, baseline }: Row): number | undefined {
  if (ratio !== undefined) return ratio;
  return ours === undefined || !baseline ? undefined : ours / baseline;
}

/** A table for a terminal or a Markdown page. */
export function formatTable(rows: readonly Row[]): string {
  const header = ["", "figure", "Skep", "baseline", "against", "ratio", "at most", ""];
  const cells = rows.map((row) => [
    row.section,
    row.figure,
    format(row.ours, row.unit),
    format(row.baseline, row.unit),
    row.against ?? "",
    format(ratioOf(row)),
    format(row.atMost),
    { true: "ok", false: "MISSED", undefined: "" }[String(holds(row))] ?? "",
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)),
  );
  const line = (columns: readonly string[]): string =>
    `| ${columns.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [line(header), rule, ...cells.map(line)].join("\n");
}

function format(value: number | undefined, unit = ""): string {
  if (value === undefined) return "";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit && ` ${unit}`}`;
}
