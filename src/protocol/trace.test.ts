import { describe, expect, test } from "vitest";
import { redactedHeaders, redactedUrl } from "./trace.ts";

test.each([
  "authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "x-auth-user",
  "x-secret",
  "session-id",
  "csrf-token",
  "cf-access-jwt-assertion",
])("%s is redacted", (name) => {
  expect(redactedHeaders(new Headers({ [name]: "canary", accept: "x" }))).toEqual({
    [name]: "REDACTED",
    accept: "x",
  });
});

describe("a URL", () => {
  test.each([
    ["http://a/0123456789abcdef0123456789abcdef/x", "http://a/REDACTED/x"],
    ["http://a/?id=9d1f3c62-7d3e-4a8c-a66f-2c1f0e9b8d7a", "http://a/?id=REDACTED"],
    ["http://a/?t=abCD12efGH34ijKL56mnOP", "http://a/?t=REDACTED"],
    ["http://a/a-very-long-title-of-a-page", "http://a/a-very-long-title-of-a-page"],
    ["http://a/Orders/2026", "http://a/Orders/2026"],
  ])("%s", (url, expected) => {
    expect(redactedUrl(url)).toBe(expected);
  });
});
