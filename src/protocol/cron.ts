/**
 * Cron expressions in the dialect of Cloudflare's Cron Triggers, which is Quartz's without seconds and years: five
 * fields in UTC (minute, hour, day of the month, month, day of the week). Weekdays count from 1, Sunday, to 7; ranges may
 * go over the end (`FRI-MON`); `n/s` is every s-th from n on.
 *
 *   day of the month   also L (last), L-n, LW (last Monday to Friday), L-nW, nW (the one nearest to n, in the month)
 *   day of the week    also L (Saturday), nL (the last one of the month), n#k (the k-th one of the month)
 *
 * If both are restricted, a day has to match only one of them.
 */
export interface Cron {
  readonly text: string;
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  /** From 1. */
  readonly months: ReadonlySet<number>;
  readonly isDay: (day: Day) => boolean;
}

interface Day {
  /** From 1. */
  readonly date: number;
  /** Of the month. */
  readonly lastDate: number;
  /** From 0, Sunday. */
  readonly weekday: number;
}

/** What is wrong with an expression. */
export class CronError extends Error {
  override readonly name = "CronError";
}

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Names of the values, from `min` on. */
  readonly names?: readonly string[];
}

const MINUTE: Field = { name: "minute", min: 0, max: 59 };
const HOUR: Field = { name: "hour", min: 0, max: 23 };
const DATE: Field = { name: "day of the month", min: 1, max: 31 };
const MONTH: Field = {
  name: "month",
  min: 1,
  max: 12,
  names: "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(" "),
};
const WEEKDAY: Field = {
  name: "day of the week",
  min: 1,
  max: 7,
  names: "SUN MON TUE WED THU FRI SAT".split(" "),
};

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** In so many days everything comes round: the years repeat every 400, leap days on each weekday every 40 at most. */
const HORIZON_DAYS = 41 * 366;

/** Throws a CronError. */
export function parseCron(text: string): Cron {
  const fields = text.trim().split(/\s+/);
  const [minute = "", hour = "", date = "", month = "", weekday = ""] = fields;
  if (fields.length !== 5) {
    throw new CronError(
      `it has ${text.trim() === "" ? 0 : fields.length} fields and takes 5: minute, hour, day of the month, month, day of the week`,
    );
  }
  const cron: Cron = {
    text,
    minutes: valuesOf(minute, MINUTE),
    hours: valuesOf(hour, HOUR),
    months: valuesOf(month, MONTH),
    isDay: dayRule(date, weekday),
  };
  if (nextTime(cron, Date.UTC(2024, 0, 1)) === null) throw new CronError("no day ever matches it");
  return cron;
}

/** The first time after `afterMs`; null: there is none. */
export function nextTime(cron: Cron, afterMs: number): number | null {
  const fromMs = (Math.floor(afterMs / MINUTE_MS) + 1) * MINUTE_MS;
  return find(cron, fromMs, 1);
}

/** The last time at or before `atMs`; null: there is none. */
export function previousTime(cron: Cron, atMs: number): number | null {
  return find(cron, Math.floor(atMs / MINUTE_MS) * MINUTE_MS, -1);
}

/** The match nearest to `fromMs`, itself included, forwards or backwards. */
function find(cron: Cron, fromMs: number, step: 1 | -1): number | null {
  const midnightMs = Math.floor(fromMs / DAY_MS) * DAY_MS;
  for (let days = 0; days < HORIZON_DAYS; days++) {
    const dayMs = midnightMs + step * days * DAY_MS;
    if (!cron.months.has(new Date(dayMs).getUTCMonth() + 1) || !cron.isDay(dayAt(dayMs))) continue;
    const startMinute = days === 0 ? (fromMs - dayMs) / MINUTE_MS : step === 1 ? 0 : 24 * 60 - 1;
    const minute = findMinute(cron, startMinute, step);
    if (minute !== null) return dayMs + minute * MINUTE_MS;
  }
  return null;
}

/** Minutes of the day. */
function findMinute({ minutes, hours }: Cron, from: number, step: 1 | -1): number | null {
  for (let minute = from; minute >= 0 && minute < 24 * 60; minute += step) {
    if (hours.has(Math.floor(minute / 60)) && minutes.has(minute % 60)) return minute;
  }
  return null;
}

function dayAt(ms: number): Day {
  const day = new Date(ms);
  const lastDate = new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 0)).getUTCDate();
  return { date: day.getUTCDate(), lastDate, weekday: day.getUTCDay() };
}

function dayRule(date: string, weekday: string): Cron["isDay"] {
  const isDate = dateRule(date);
  const isWeekday = weekdayRule(weekday);
  if (date === "*") return isWeekday;
  if (weekday === "*") return isDate;
  return (day) => isDate(day) || isWeekday(day);
}

function dateRule(text: string): Cron["isDay"] {
  const last = /^L(?:-(\d+))?(W)?$/i.exec(text);
  if (last) {
    const offset = last[1] === undefined ? 0 : numberIn(last[1], { ...DATE, max: 30 });
    if (last[2] === undefined) return ({ date, lastDate }) => date === lastDate - offset;
    return (day) => day.date === nearestWorkday(day, day.lastDate - offset);
  }
  const near = /^(\d+)W$/i.exec(text);
  if (near) {
    const wanted = numberIn(near[1] as string, DATE);
    return (day) => day.date === nearestWorkday(day, wanted);
  }
  const dates = valuesOf(text, DATE);
  return ({ date }) => dates.has(date);
}

/** Monday to Friday, in the same month; undefined: the month has no such date. */
function nearestWorkday({ date, lastDate, weekday }: Day, wanted: number): number | undefined {
  if (wanted < 1 || wanted > lastDate) return undefined;
  const wantedWeekday = (((weekday + wanted - date) % 7) + 7) % 7;
  if (wantedWeekday === 6) return wanted === 1 ? 3 : wanted - 1;
  if (wantedWeekday === 0) return wanted === lastDate ? wanted - 2 : wanted + 1;
  return wanted;
}

function weekdayRule(text: string): Cron["isDay"] {
  if (/^L$/i.test(text)) return ({ weekday }) => weekday === 6;
  const last = /^(\w+)L$/i.exec(text);
  if (last) {
    const wanted = numberIn(last[1] as string, WEEKDAY) - 1;
    return ({ weekday, date, lastDate }) => weekday === wanted && date + 7 > lastDate;
  }
  const nth = /^(\w+)#(\d+)$/.exec(text);
  if (nth) {
    const wanted = numberIn(nth[1] as string, WEEKDAY) - 1;
    const count = numberIn(nth[2] as string, { name: "number after #", min: 1, max: 5 });
    return ({ weekday, date }) => weekday === wanted && Math.ceil(date / 7) === count;
  }
  const weekdays = valuesOf(text, WEEKDAY);
  return ({ weekday }) => weekdays.has(weekday + 1);
}

/** `*`, or values, ranges and steps, separated by commas. */
function valuesOf(text: string, field: Field): Set<number> {
  const values = new Set<number>();
  const parts = text.split(",");
  for (const part of parts) {
    const found = /^(\*|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part);
    const [, first = "", end, step] = found ?? [];
    const isStar = first === "*";
    if (!found || (isStar && (end !== undefined || (step === undefined && parts.length > 1)))) {
      throw new CronError(
        `its ${field.name} '${text}' cannot be read: '${part}' is no value, range (a-b), step (*/n, a/n, a-b/n) or '*' alone`,
      );
    }
    const from = isStar ? field.min : numberIn(first, field);
    const openEnd = isStar || step !== undefined ? field.max : from;
    const to = end === undefined ? openEnd : numberIn(end, field);
    const by = step === undefined ? 1 : numberIn(step, { name: "step", min: 1, max: field.max });
    const size = field.max - field.min + 1;
    const length = (((to - from) % size) + size) % size;
    for (let at = 0; at <= length; at += by) {
      values.add(field.min + ((from - field.min + at) % size));
    }
  }
  return values;
}

function numberIn(text: string, { name, min, max, names }: Field): number {
  const named = names?.indexOf(text.toUpperCase()) ?? -1;
  if (named >= 0) return min + named;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const orNames = names === undefined ? "" : ` or ${names[0] as string}-${names.at(-1) as string}`;
  const weekdays = name === WEEKDAY.name ? " (1 is Sunday)" : "";
  throw new CronError(`its ${name} is '${text}' and must be ${min}-${max}${orNames}${weekdays}`);
}
