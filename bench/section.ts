import type { Baselines } from "./baselines.ts";
import type { Row } from "./table.ts";

/** What every section gets. A section starts the platforms that it needs and stops them. */
export interface Bench {
  readonly baselines: Baselines;
  /** Scales the number of repetitions; 1 is what the documentation reports. */
  readonly effort: number;
  /** Tells a waiting person what goes on; not part of the report. */
  readonly progress: (text: string) => void;
}

export type Section = (bench: Bench) => Promise<Row[]>;

/** At least `least`, so that a short run still says something. */
export function repetitions({ effort }: Bench, count: number, least = 3): number {
  return Math.max(least, Math.round(count * effort));
}
