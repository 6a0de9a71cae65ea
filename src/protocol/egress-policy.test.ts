import { expect, test } from "vitest";
import { destinationOf, matchesHost, parseHostPattern } from "./egress-policy.ts";

test.each([
  ["*", "https://example.com/", true],
  ["*:443", "http://example.com/", false],
  ["example.com", "https://example.com/", true],
  ["example.com", "https://EXAMPLE.com.:8443/", true],
  ["Example.com.", "https://example.com/", true],
  ["example.com", "https://www.example.com/", false],
  ["example.com", "https://example.com.evil.test/", false],
  ["example.com:443", "https://example.com/", true],
  ["example.com:443", "http://example.com/", false],
  ["example.com:80", "http://example.com/", true],
  ["example.com:8080", "http://example.com:8080/", true],
  ["*.example.com", "https://a.b.example.com/", true],
  ["*.example.com", "https://example.com/", false],
  ["*.example.com", "https://badexample.com/", false],
  ["203.0.113.0/24", "http://203.0.113.7/", true],
  ["203.0.113.0/24", "http://0xcb007107/", true],
  ["203.0.113.0/24", "http://203.0.113.7./", true],
  ["203.0.113.0/24", "http://[::ffff:203.0.113.7]/", true],
  ["203.0.113.0/24:443", "http://203.0.113.7/", false],
  ["203.0.113.0/24", "http://203.0.114.7/", false],
  ["203.0.113.7", "http://203.0.113.7.example.com/", false],
  ["2001:db8::/32", "http://[2001:db8:1::9]/", true],
  ["[2001:db8::1]:443", "https://[2001:db8::1]/", true],
  ["[2001:db8::1]:443", "http://[2001:db8::1]/", false],
  ["[2001:db8::/32]", "http://[2001:db9::1]/", false],
])("%s with %s: %s", (pattern, url, matches) => {
  expect(matchesHost(parseHostPattern(pattern)!, destinationOf(new URL(url)))).toBe(matches);
});

test.each([
  "",
  "https://example.com",
  "example.com/path",
  "*.*.example.com",
  "a.*.example.com",
  "*example.com",
  "example..com",
  "example.com:0",
  "example.com:99999",
  "example.com:https",
  "10.0.0.0/33",
  "10.0.0.1/8",
  "127.1",
  "2130706433",
  "0x7f000001",
  "[2001:db8::1",
  "[example.com]",
  "müller.example",
])("%o is no pattern", (text) => {
  expect(parseHostPattern(text)).toBeUndefined();
});
