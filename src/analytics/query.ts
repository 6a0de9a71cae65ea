/** What can be asked of data points, and the SQL for it: no text of the user's is part of that. */

export const TIME_STEPS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;
const COLUMN = /^(?:(blob|double)([1-9]|1\d|20)|index1)$/;
const AGGREGATE = /^(?:count|(sum|avg|min|max)\((double(?:[1-9]|1\d|20))\))$/;

export interface AnalyticsQuery {
  readonly dataset: string;
  /** Unix time in milliseconds, from and up to but without. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Names of columns or of TIME_STEPS. */
  readonly groupBy: readonly string[];
  /** `count`, `sum(double1)`, …; none: the points themselves, newest first. */
  readonly select: readonly string[];
  /** Column and the text it has to be equal to. */
  readonly where: readonly (readonly [column: string, value: string])[];
  readonly limit: number;
}

export function isColumn(name: string): boolean {
  return COLUMN.test(name);
}

export function isGroup(name: string): boolean {
  return isColumn(name) || Object.hasOwn(TIME_STEPS, name);
}

export function isAggregate(name: string): boolean {
  return AGGREGATE.test(name);
}

/** Throws for names that are none: whoever takes them from a user checks them first. */
export function toSql({ dataset, fromMs, toMs, groupBy, select, where, limit }: AnalyticsQuery): {
  readonly sql: string;
  readonly parameters: readonly (string | number)[];
} {
  const conditions = where.map(([column]) => `CAST(${columnSql(column)} AS TEXT) = ?`);
  const filter = ["dataset = ?", "at >= ?", "at < ?", ...conditions].join(" AND ");
  const parameters = [dataset, fromMs, toMs, ...where.map(([, value]) => value), limit];
  if (select.length === 0) {
    const sql = `SELECT at AS timestamp, index1, blobs, doubles FROM points WHERE ${filter} ORDER BY at DESC, id DESC LIMIT ?`;
    return { sql, parameters };
  }
  const groups = groupBy.map((name) => `${groupSql(name)} AS "${name}"`);
  const aggregates = select.map((name) => `${aggregateSql(name)} AS "${name}"`);
  const numbers = groupBy.map((_, index) => index + 1).join(", ");
  const order = Object.hasOwn(TIME_STEPS, groupBy[0] ?? "") ? "1" : `${groups.length + 1} DESC`;
  const grouping = groups.length === 0 ? "" : `GROUP BY ${numbers}`;
  const sql = `SELECT ${[...groups, ...aggregates].join(", ")} FROM points WHERE ${filter} ${grouping} ORDER BY ${order} LIMIT ?`;
  return { sql, parameters };
}

function columnSql(name: string): string {
  const [found, kind, number] = COLUMN.exec(name) ?? [];
  if (found === undefined) throw new Error(`${name} is no column`);
  return kind === undefined ? "index1" : `json_extract(${kind}s, '$[${Number(number) - 1}]')`;
}

function groupSql(name: string): string {
  if (!Object.hasOwn(TIME_STEPS, name)) return columnSql(name);
  const step = TIME_STEPS[name as keyof typeof TIME_STEPS];
  return `at / ${step} * ${step}`;
}

function aggregateSql(name: string): string {
  const [found, operation, column] = AGGREGATE.exec(name) ?? [];
  if (found === undefined) throw new Error(`${name} is no aggregate`);
  return operation === undefined
    ? "COUNT(*)"
    : `${operation.toUpperCase()}(${columnSql(column as string)})`;
}
