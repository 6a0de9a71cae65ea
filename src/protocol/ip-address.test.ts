import { expect, test } from "vitest";
import { blockContains, blockCovers, parseAddress, parseBlock } from "./ip-address.ts";

test.each([
  ["0.0.0.0", 0xffff00000000n],
  ["127.0.0.1", 0xffff7f000001n],
  ["::ffff:127.0.0.1", 0xffff7f000001n],
  ["::ffff:7f00:1", 0xffff7f000001n],
  ["::", 0n],
  ["::1", 1n],
  ["2001:db8::1", 0x20010db8000000000000000000000001n],
  ["1:2:3:4:5:6:7:8", 0x00010002000300040005000600070008n],
  ["FD00::", 0xfd00n << 112n],
])("%s is an address", (text, address) => {
  expect(parseAddress(text)).toBe(address);
});

test.each([
  "",
  "1.2.3",
  "1.2.3.4.",
  "1.2.3.256",
  "01.2.3.4",
  "1.2.3.4.5",
  "::1::",
  "1:2:3",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7::8",
  "12345::",
  "::g",
  "::ffff:1.2.3",
  "::ffff:300.0.0.1",
  "example.com",
])("%o is no address", (text) => {
  expect(parseAddress(text)).toBeUndefined();
});

test.each(["10.0.0.0/33", "10.0.0.1/8", "::/129", "10.0.0.0/", "/8", "fd00::1/8", "a/8"])(
  "%s is no block",
  (text) => {
    expect(parseBlock(text)).toBeUndefined();
  },
);

test.each([
  ["10.0.0.0/8", "10.255.255.255", true],
  ["10.0.0.0/8", "11.0.0.0", false],
  ["10.0.0.0/8", "::ffff:10.1.2.3", true],
  ["0.0.0.0/0", "198.51.100.1", true],
  ["0.0.0.0/0", "::1", false],
  ["192.0.2.1", "192.0.2.1", true],
  ["192.0.2.1", "192.0.2.2", false],
  ["fd00::/8", "fdff::1", true],
  ["fd00::/8", "fe00::1", false],
  ["::/0", "::1", true],
])("%s with %s: %s", (block, address, contains) => {
  expect(blockContains(parseBlock(block)!, parseAddress(address)!)).toBe(contains);
});

test("a block covers itself and smaller ones in it", () => {
  const ten = parseBlock("10.0.0.0/8")!;
  expect(blockCovers(ten, ten)).toBe(true);
  expect(blockCovers(ten, parseBlock("10.1.0.0/16")!)).toBe(true);
  expect(blockCovers(ten, parseBlock("0.0.0.0/0")!)).toBe(false);
  expect(blockCovers(ten, parseBlock("11.0.0.0/16")!)).toBe(false);
});
