import { expect, it } from "vitest";
import { hostnames } from "./hostnames.ts";

it("covers the base domain, each namespace and the hosts of custom routes, each once", () => {
  expect(
    hostnames(
      "example.org",
      ["production", "staging"],
      [
        "shop.example.com/*",
        "https://shop.example.com/api/*",
        "*.tenants.example/*",
        "*bare.example/",
        "*/*",
      ],
    ),
  ).toEqual([
    "example.org",
    "*.example.org",
    "*.production.example.org",
    "*.staging.example.org",
    "shop.example.com",
    "*.tenants.example",
    "bare.example",
    "*.bare.example",
  ]);
});
