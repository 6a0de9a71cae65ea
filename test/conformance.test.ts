/**
 * Bindings to what functions keep, on the three ways that lead to the store, against Miniflare's own: the same cases, the same
 * answers, errors included.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { miniflare, native, shim, type Target } from "./conformance-targets.ts";

const SUITES = ["kv", "r2", "d1", "queue"];

describe.each(SUITES)("%s", { timeout: 240_000 }, (suite) => {
  const targets: Target[] = [];
  beforeAll(async () => {
    for (const start of [miniflare, shim, native]) targets.push(await start());
  }, 120_000);
  afterAll(async () => {
    await Promise.all(targets.map((target) => target.stop()));
  });

  test("every case is answered as Miniflare answers it", async () => {
    const [reference, ...ours] = await Promise.all(
      targets.map(async (target) => {
        const answers = new Map<string, unknown>();
        for (const name of (await target.fetch(`/${suite}`)) as string[]) {
          answers.set(name, await target.fetch(`/${suite}/${encodeURIComponent(name)}`));
        }
        return answers;
      }),
    );
    const [shims, natives] = ours.map((answers) =>
      [...answers].filter(([name, answer]) => isEqual(answer, reference?.get(name))),
    );
    const count = reference?.size ?? 0;
    console.log(
      `${suite}: ${count} cases, miniflare ${count}, shim ${shims?.length}, native ${natives?.length}`,
    );
    for (const answers of ours) {
      for (const [name, answer] of answers) {
        expect.soft(answer, name).toEqual(reference?.get(name));
      }
    }
  });
});

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
