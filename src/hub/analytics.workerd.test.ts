/** Data points of functions, as many and as large as these may write. */
import { beforeAll, expect, it } from "vitest";
import { bootstrap, call, edgeGate, hub, NAMESPACES } from "./test/api.ts";

const BLOB = "x".repeat(16 * 1024);

beforeAll(async () => {
  await bootstrap();
});

it("an answer is bounded in bytes, and so is what is kept", async () => {
  const { result } = await call("POST", NAMESPACES, { name: "wordy" });
  const store = hub.ANALYTICS.getByName(result.namespace_id as string);
  const now = Date.now();
  const write = async (from: number, count: number) => {
    const points = Array.from({ length: count }, (_, n) => {
      const doubles = [from + n];
      return { namespace: "wordy", dataset: "d", atMs: now, index: null, blobs: [BLOB], doubles };
    });
    const body = JSON.stringify({ points });
    await edgeGate.fetch("http://hub/analytics", { method: "POST", body });
  };
  const ask = (search: string) =>
    call("GET", `${NAMESPACES}/wordy/analytics/d?to=${now + 1}&${search}`);

  await write(0, 500);
  expect((await ask("limit=200")).result).toHaveLength(200);
  expect(await ask("limit=500")).toMatchObject({
    status: 400,
    errors: [{ code: 10026, message: expect.stringMatching(/more than 4 MiB.*smaller \?limit/) }],
  });
  expect((await ask("select=count,max(double1)")).result).toEqual([
    { count: 500, "max(double1)": 499 },
  ]);

  for (let from = 500; from < 9_000; from += 500) await write(from, 500);
  const [{ count, ...range }] = (await ask("select=count,min(double1),max(double1)")).result;
  expect(count).toBeGreaterThan(6_000);
  expect(count).toBeLessThan(8_192);
  // The oldest have gone.
  expect(range).toEqual({ "min(double1)": 9_000 - count, "max(double1)": 8_999 });
  expect(await store.datasets()).toMatchObject([{ points: count }]);
});
