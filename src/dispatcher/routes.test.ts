import { describe, expect, test } from "vitest";
import { RouteTable } from "./routes.ts";

function table(routes: Record<string, string | null>) {
  return new RouteTable(
    Object.entries(routes).map(([pattern, script], index) => ({
      id: String(index),
      pattern,
      namespace: "production",
      script,
    })),
    "localhost",
  );
}

describe("default names", () => {
  const routes = table({});
  test.each([
    ["http://hello.production.localhost/", "hello", "production"],
    ["http://HELLO.Production.localhost:8787/x?y", "hello", "production"],
    ["https://a-b.team_1.localhost", "a-b", "team_1"],
  ])("%s is %s in %s", (url, script, namespace) => {
    expect(routes.match(url)).toEqual({ script, namespace, by: "host" });
  });
  test.each([
    "http://localhost/",
    "http://production.localhost/",
    "http://x.hello.production.localhost/",
    "http://hello.production.example.com/",
    "http://.production.localhost/",
    "http://127.0.0.1:8787/",
  ])("%s is nobody's", (url) => {
    expect(routes.match(url)).toBeNull();
  });
});

describe("custom routes", () => {
  const routes = table({
    "example.com/*": "site",
    "example.com/api/*": "api",
    "example.com/api/v2*": "api-v2",
    "example.com/exact": "exact",
    "*.example.com/*": "any-host",
    "shop.example.com/*": "shop",
    "https://secure.example.com/*": "secure",
    "out.example.com/*": null,
    "*/status": "status",
    "hello.production.localhost/special/*": "special",
  });
  test.each([
    ["http://example.com/", "site"],
    ["http://example.com:8787/api/users", "api"],
    ["http://example.com/api/v2/users?page=1", "api-v2"],
    ["http://example.com/exact", "exact"],
    ["http://example.com/exact?query", "exact"],
    ["http://example.com/exact/more", "site"],
    ["http://blog.example.com/x", "any-host"],
    ["http://shop.example.com/x", "shop"],
    ["https://secure.example.com/x", "secure"],
    ["http://secure.example.com/x", "any-host"],
    ["http://nowhere.test/status", "status"],
    ["http://hello.production.localhost/special/1", "special"],
    ["http://hello.production.localhost/", "hello"],
  ])("%s goes to %s", (url, script) => {
    expect(routes.match(url)?.script).toBe(script);
  });
  test("a route without script opts its host out, even of the default name", () => {
    expect(routes.match("http://out.example.com/x")).toBeNull();
    expect(
      table({ "hello.production.localhost/*": null }).match("http://hello.production.localhost/"),
    ).toBeNull();
  });
  test("a wildcard host does not match the bare domain", () => {
    expect(table({ "*.example.com/*": "x" }).match("http://example.com/")).toBeNull();
  });
});
