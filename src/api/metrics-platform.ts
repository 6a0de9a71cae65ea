/** What `/metrics` says of processes and places, beside the counters of functions (metrics-prometheus.ts). */
import type { ProcessCounters } from "../protocol/hub.ts";
import type { PlaceKind } from "../protocol/placement.ts";
import { sample, type Labels } from "./metrics-prometheus.ts";

export interface PlatformFigures {
  /** null: the supervisor did not say. */
  readonly processes: ProcessCounters | null;
  readonly trustChanges: Readonly<Record<string, number>>;
  readonly functions: readonly {
    readonly namespace: string;
    readonly script: string;
    readonly place: PlaceKind;
  }[];
}

export function renderPlatform({ processes, trustChanges, functions }: PlatformFigures): string {
  const lines = [
    ...family(
      "skep_trust_changes_total",
      "counter",
      "Versions that came into a state of trust.",
      Object.entries(trustChanges).map(([to, count]) => [{ to }, count]),
    ),
    ...family(
      "skep_function_place",
      "gauge",
      "1 for the place where a function runs.",
      functions.map(({ namespace, script, place }) => [{ namespace, script, place }, 1]),
    ),
  ];
  if (processes !== null) {
    lines.push(
      ...family(
        "skep_incidents_total",
        "counter",
        "Processes that were killed, replaced or crashed.",
        Object.entries(processes.incidents).map(([key, count]) => {
          const [process = "", kind = ""] = key.split(":");
          return [{ process, kind }, count];
        }),
      ),
      ...family(
        "skep_cells",
        "gauge",
        "Cell processes by their role.",
        Object.entries(processes.cells).map(([role, count]) => [{ role }, count]),
      ),
    );
  }
  return `${lines.join("\n")}\n`;
}

function family(
  name: string,
  type: "counter" | "gauge",
  help: string,
  samples: readonly (readonly [Labels, number])[],
): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => sample(name, labels, value)),
  ];
}
