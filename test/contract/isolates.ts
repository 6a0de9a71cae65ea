/** Cases: one isolate per script, whose state stays, and that no other script can see into. */
import { describe, expect, test, vi } from "vitest";
import { POLL, type Probe } from "./target.ts";

export function describeIsolates(probe: () => Probe): void {
  describe("isolates", () => {
    test("two scripts of the same source share no globals", async () => {
      expect(await probe().json("secret-a", "/a")).toEqual(["/a"]);
      expect(await probe().json("secret-b", "/b")).toEqual(["/b"]);
    });

    test("module state lasts from one call to the next", async () => {
      const counts = await probe().json({ script: "counter", mode: "repeat", count: 4 });
      expect(counts).toEqual(["1", "2", "3", "4"]);
    });

    test("concurrent first calls load one isolate", async () => {
      const ids = await probe().json<string[]>({ script: "identity", mode: "together", count: 8 });
      expect(new Set(ids).size).toBe(1);
      expect(ids).toHaveLength(8);
    });

    test("calls with other args meet the same isolate", async () => {
      const plain = await probe().text("identity-args");
      const args = { tenant: "acme" };
      expect(await probe().text({ script: "identity-args", args })).toBe(plain);
    });

    test("waitUntil work goes on after the answer", async () => {
      const response = await probe().send("background", "/", { method: "POST" });
      expect(await response.json()).toBe(false);
      await vi.waitFor(async () => expect(await probe().json("background")).toBe(true), POLL);
    });
  });
}
