import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { deniedBlocks, privateBlocks, readEgressPolicy } from "./egress-policy.ts";

const directory = mkdtempSync(join(tmpdir(), "skep-egress-policy-"));
const file = join(directory, "policy.json");
afterAll(() => rmSync(directory, { recursive: true }));

function read(text: string) {
  writeFileSync(file, text);
  return readEgressPolicy(file);
}

test("reads a policy as it stands in its file", () => {
  const policy = {
    default: { deny: ["*.example.com", "203.0.113.0/24", "203.0.113.9:25"] },
    namespaces: {
      billing: { allow: ["api.example.net:443"], allowPrivate: ["10.1.0.0/16", "fd00::1"] },
      lab: { deny: ["192.0.2.0/24"], allowPrivate: ["10.1.0.0/16"] },
    },
  };
  const parsed = read(JSON.stringify(policy));
  expect(parsed).toEqual(policy);
  expect(privateBlocks(parsed)).toEqual(["10.1.0.0/16", "fd00::1/128"]);
  const always = deniedBlocks({});
  expect(deniedBlocks(parsed)).toEqual([...always, "203.0.113.0/24"]);
  expect(read("{}")).toEqual({});
});

test.each([
  ["", "is not JSON"],
  ["[]", "the policy is not an object"],
  [`{ "defaults": {} }`, "defaults is unknown; there are default, namespaces"],
  [`{ "default": { "Deny": [] } }`, "default.Deny is unknown; there are allow, deny"],
  [`{ "default": { "deny": "*" } }`, "default.deny is not a list"],
  [`{ "default": { "deny": ["a.b", "http://a.b"] } }`, `default.deny[1] is "http://a.b", expected`],
  [
    `{ "namespaces": { "lab": { "allow": [7] } } }`,
    "namespaces.lab.allow[0] is 7, expected a host",
  ],
  [`{ "namespaces": { "lab": null } }`, "namespaces.lab is not an object"],
  [`{ "default": { "allowPrivate": ["0.0.0.0/0"] } }`, "expected a block of private addresses"],
  [`{ "default": { "allowPrivate": ["8.8.8.8"] } }`, "expected a block of private addresses"],
  [`{ "default": { "allowPrivate": ["10.0.0.1:80"] } }`, "expected a block of private addresses"],
])("refuses %s", (text, message) => {
  expect(() => read(text)).toThrow(message);
  expect(() => read(text)).toThrow(`--egress-policy: ${file}`);
});
