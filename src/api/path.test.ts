import { expect, it } from "vitest";
import { normalizePath } from "./path.ts";

it.each<[string, string]>([
  ["http://h/client/v4/accounts", "/client/v4/accounts"],
  ["http://h/client/v4//accounts//a/", "/client/v4/accounts/a"],
  ["http://h/a?x=//y", "/a"],
  ["http://h/a/b%2Fc/#d", "/a/b%2Fc"],
  ["http://h/", "/"],
])("%s is matched as %s", (url, path) => {
  expect(normalizePath(url)).toBe(path);
});
