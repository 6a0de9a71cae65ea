import { expect, test } from "vitest";
import { ANNOUNCEMENT, MARKER } from "../../protocol/ledger.ts";
import { Markers } from "./markers.ts";

const key = "ab".repeat(32);
const token = "0123456789abcdef".repeat(2);
const version = "11111111-2222-4333-8444-555555555555";

test("knows the version of an announced token, and nothing before the first marker", () => {
  const markers = new Markers(key, () => 77);
  expect(markers.take(`${ANNOUNCEMENT}${key} ${token} ${version}`)).toBe(true);
  expect(markers.last).toBeNull();
  expect(markers.take(MARKER + token)).toBe(true);
  expect(markers.last).toEqual({ versionId: version, atMs: 77 });
  expect(markers.count).toBe(1);
});

test("passes on what a tenant made up", () => {
  const markers = new Markers(key);
  const forged = [
    `${ANNOUNCEMENT}${"cd".repeat(32)} ${token} ${version}`,
    `${ANNOUNCEMENT}${key} short ${version}`,
    `${ANNOUNCEMENT}${key} ${token}`,
    MARKER + token,
    MARKER,
    "hello",
    "",
  ];
  expect(forged.filter((line) => markers.take(line))).toEqual([]);
  expect(markers.last).toBeNull();
});

test("forgets the oldest tokens when there are too many", () => {
  const markers = new Markers(key);
  const tokenOf = (n: number) => n.toString(16).padStart(32, "0");
  for (let n = 0; n <= 8192; n++) {
    markers.take(`${ANNOUNCEMENT}${key} ${tokenOf(n)} ${version}`);
  }
  expect(markers.take(MARKER + tokenOf(0))).toBe(false);
  expect(markers.take(MARKER + tokenOf(1))).toBe(true);
});
