import { expect, test } from "vitest";
import type { AnalyticsFlush } from "../protocol/analytics.ts";
import { Analytics } from "./analytics.ts";
import type { HubClient } from "./hub-client.ts";

test("while the hub is away, points wait up to a size, the first ones", async () => {
  const state = { isAway: true };
  const sent: AnalyticsFlush["points"][number][] = [];
  const hub = {
    analytics({ points }: AnalyticsFlush) {
      if (state.isAway) return Promise.reject(new Error("away"));
      sent.push(...points);
      return Promise.resolve();
    },
  } as unknown as HubClient;
  const analytics = new Analytics(hub, () => {});
  const write = (index: string) =>
    analytics.write({ namespace: "production" }, "visits", {
      blobs: ["x".repeat(16 * 1024)],
      doubles: [],
      index,
    });
  for (let n = 0; n < 800; n++) write(`${n}`);
  await analytics.flush();
  for (let n = 800; n < 2_000; n++) write(`${n}`);
  await analytics.flush();
  state.isAway = false;
  await analytics.flush();
  expect(sent.map(({ index }) => index)).toEqual(Array.from({ length: 1_024 }, (_, n) => `${n}`));
  write("after");
  await analytics.flush();
  expect(sent.at(-1)?.index).toBe("after");
});
