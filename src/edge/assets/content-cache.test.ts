import { expect, test } from "vitest";
import { ContentCache } from "./content-cache.ts";

test("keeps no more bytes than it may, and what was asked for last", () => {
  const cache = new ContentCache(11_000);
  cache.set("a", new Uint8Array(4_000));
  cache.set("b", new Uint8Array(4_000));
  expect(cache.get("a")).toBeDefined();
  cache.set("c", new Uint8Array(4_000));
  expect(["a", "b", "c"].map((blob) => cache.get(blob) !== undefined)).toEqual([true, false, true]);
  cache.set("c", new Uint8Array(4_000));
  cache.set("d", new Uint8Array(2_000));
  expect(cache.get("a")).toBeDefined();
});

test("any number of tiny contents takes memory, too", () => {
  const cache = new ContentCache(100_000);
  for (let n = 0; n < 1_000; n++) cache.set(`${n}`, new Uint8Array(1));
  const kept = Array.from({ length: 1_000 }, (_, n) => cache.get(`${n}`)).filter(Boolean);
  expect(kept.length).toBeLessThan(500);
});
