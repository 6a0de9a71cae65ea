/**
 * Bindings to what functions keep, on the three ways that lead to the store, against Miniflare's own: the same cases, the same
 * answers, errors included.
 */
import { afterAll, beforeAll, describe, test } from "vitest";
import { miniflare, native, shim, type Target } from "./conformance-targets.ts";

const targets: Target[] = [];

beforeAll(async () => {
  targets.push(...(await Promise.all([miniflare(), shim(), native()])));
}, 120_000);

afterAll(async () => {
  await Promise.all(targets.map((target) => target.stop()));
});

// D1 alone, since a connection forgets its last row id when it is idle for seconds.
describe.for([["d1"], ["queue", "kv", "r2"]])("%j", { timeout: 240_000 }, (suites) => {
  test.concurrent.for(suites)(
    "every case of %s is answered as Miniflare answers it",
    async (suite, { expect }) => {
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
    },
  );
});

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
