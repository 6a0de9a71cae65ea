/**
 * Rounds of SIGKILL at random moments while functions write into everything that they can write into
 * (test/durability/). None of what was acknowledged may be lost.
 */
import { runFaults } from "../test/durability/faults.ts";
import { startPlatform } from "../test/platform.ts";
import { repetitions, type Section } from "./section.ts";
import type { Row } from "./table.ts";

const ROUNDS = 1_000;

export const durability: Section = async (bench) => {
  const rounds = repetitions(bench, ROUNDS);
  const platform = await startPlatform();
  try {
    const { kills, acknowledged, wrong, deliveries, ...more } = await runFaults(
      platform,
      rounds,
      bench.progress,
    );
    bench.progress(JSON.stringify({ kills, ...more }));
    for (const each of wrong) bench.progress(`LOST: ${JSON.stringify(each)}`);
    const row = (figure: string, ours: number, atMost?: number): Row => ({
      section: "durability",
      figure,
      ours,
      unit: "",
      ...(atMost !== undefined && { atMost }),
    });
    return [
      row("rounds of kill -9", rounds),
      ...Object.entries(acknowledged).map(([kind, count]) =>
        row(`writes acknowledged, ${kind}`, count),
      ),
      row("acknowledged writes lost or wrong", wrong.length, 0),
      row("acknowledged messages lost", deliveries.lost.length, 0),
      row("messages delivered again after a kill", deliveries.duplicates),
      row("messages delivered again without one", deliveries.unexcused.length, 0),
    ];
  } finally {
    await platform.stop();
  }
};
