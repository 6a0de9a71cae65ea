/** Check values of the algorithms' catalogue, for the text 123456789. */
import { expect, it } from "vitest";
import { checksumOf } from "./checksum.ts";

it.each([
  ["crc32", "cbf43926"],
  ["crc32c", "e3069283"],
  ["crc64nvme", "ae8b14860a799888"],
] as const)("%s", async (name, expected) => {
  const checksum = checksumOf(name);
  const bytes = new TextEncoder().encode("123456789");
  await checksum.update(bytes.subarray(0, 4));
  await checksum.update(bytes.subarray(4));
  expect(Uint8Array.fromBase64(await checksum.digest()).toHex()).toBe(expected);
});
