import { expect, test } from "vitest";
import { ContentCache } from "./content-cache.ts";

test("keeps no more bytes than it may, and what was asked for last", () => {
  const cache = new ContentCache(10);
  cache.set("a", new Uint8Array(4));
  cache.set("b", new Uint8Array(4));
  expect(cache.get("a")).toBeDefined();
  cache.set("c", new Uint8Array(4));
  expect(["a", "b", "c"].map((blob) => cache.get(blob) !== undefined)).toEqual([true, false, true]);
  cache.set("c", new Uint8Array(4));
  cache.set("d", new Uint8Array(2));
  expect(cache.get("a")).toBeDefined();
});
