// What the operator's policy allows and denies, with the real egress Worker in its real configuration.
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  askedOf,
  from,
  prepareEgress,
  send,
  startEgress,
  startOrigin,
  stopEgress,
} from "./fixtures/egress-process.ts";

let originPort: number;
const originUrl = (path: string, host = "127.0.0.1") => `http://${host}:${originPort}${path}`;

beforeAll(async () => {
  await prepareEgress();
  const origin = await startOrigin();
  originPort = (origin.address() as AddressInfo).port;
});
afterAll(stopEgress);

let egress: string;
beforeAll(async () => {
  egress = await startEgress("policy", {
    widened: true,
    policy: {
      default: { deny: ["127.0.0.2", "*.blocked.test"] },
      namespaces: {
        strict: { allow: ["127.0.0.1", "*.allowed.test:443"], deny: ["127.0.0.1:1"] },
        open: { deny: ["127.0.0.1"] },
      },
    },
  });
});
const outcomeOf = async (url: string, whose?: string) => {
  const { status, error } = await send(egress, url, whose === undefined ? {} : from(whose));
  return error ?? status;
};

test.each([
  ["anything, to a namespace without an entry", () => originUrl("/"), "other", 200],
  ["anything, to a request of nobody", () => originUrl("/"), undefined, 200],
  ["a host on the allow list", () => originUrl("/"), "strict", 200],
])("allows %s", async (_, url, namespace, outcome) => {
  expect(await outcomeOf(url(), namespace)).toBe(outcome);
});

test.each([
  ["a host that is on no allow list", "http://example.com/", "strict"],
  ["a host on the allow list on another port", "http://a.allowed.test/", "strict"],
  ["what default denies, with an entry", "http://127.0.0.2/", "strict"],
  ["what default denies, without an entry", "http://127.0.0.2/", "other"],
  ["what default denies, to a request of nobody", "http://127.0.0.2/", undefined],
  ["what default denies, by number", "http://2130706434/", "other"],
  ["what default denies, by IPv6", "http://[::ffff:127.0.0.2]/", "other"],
  ["a name below", "https://x.blocked.test/", "other"],
  ["a name below, with a dot at its end", "https://x.blocked.test./", "other"],
  ["a name below, in capitals", "https://X.BLOCKED.test/", "other"],
  ["what is on both lists", "http://127.0.0.1:1/", "strict"],
  ["what the namespace denies", "http://127.0.0.1/", "open"],
])("denies %s", async (_, url, namespace) => {
  expect(await outcomeOf(url, namespace)).toBe("denied");
});

test("says what refused it", async () => {
  const denied = await send(egress, "http://127.0.0.1:1/x", from("strict"));
  expect(denied.status).toBe(403);
  expect(denied.text).toBe(
    `Functions of namespace "strict" may not fetch 127.0.0.1:1: egress policy, ` +
      "namespaces.strict.deny: 127.0.0.1:1.\n",
  );
  const missing = await send(egress, "http://example.com/", from("strict"));
  expect(missing.text).toContain("namespaces.strict.allow does not name it");
});

test("denies a block to names that lead to it", async () => {
  const blocking = await startEgress("blocking", {
    widened: true,
    policy: { default: { deny: ["127.0.0.0/8", "::1"] } },
  });
  expect(await send(blocking, originUrl("/"))).toMatchObject({ error: "denied" });
  expect(await send(blocking, originUrl("/", "localhost"))).toMatchObject({
    error: "not-reachable",
  });
});

test("opens private addresses to a namespace, but never to a name", async () => {
  const opened = await startEgress("opened", {
    policy: {
      namespaces: {
        lab: { allow: ["example.com"], allowPrivate: ["127.0.0.1"] },
        other: { allowPrivate: ["10.0.0.0/8"] },
      },
    },
  });
  askedOf(await send(opened, originUrl("/"), from("lab")));
  askedOf(await send(opened, originUrl("/", "2130706433"), from("lab")));
  const outcomes = await Promise.all([
    send(opened, originUrl("/"), from("other")),
    send(opened, originUrl("/"), from("third")),
    send(opened, originUrl("/")),
    send(opened, originUrl("/", "127.0.0.2"), from("lab")),
    send(opened, originUrl("/", "localhost"), from("lab")),
    send(opened, originUrl("/", "localhost"), from("other")),
  ]);
  const refused = "not-reachable";
  const errors = [refused, refused, refused, "denied", "denied", refused];
  expect(outcomes.map(({ error }) => error)).toEqual(errors);
});
