/** What an edge answers to a cell that asks for more than it was given. */
import { createExecutionContext } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { BoundCall } from "../cell/bindings.ts";
import { callsThroughEgress } from "../cell/calls-through-egress.ts";
import { decodeBundle, encodeBundle, type Bundle, type ServiceValue } from "../protocol/bundle.ts";
import { callerOf, type EgressCall } from "../protocol/egress.ts";
import { Analytics } from "./analytics.ts";
import { Assets } from "./assets/assets.ts";
import { answerBound } from "./bound-calls.ts";
import { Grants, type Granted } from "../protocol/grants.ts";
import type { HubClient } from "./hub-client.ts";
import type { Invoker } from "./invoke.ts";
import { answerOutbound } from "./outbound-worker.ts";
import { RateLimits } from "./rate-limits.ts";
import type { MetricsEnv } from "../dispatcher/record.ts";
import { takeTraces, type Traces } from "./traces.ts";

const grants = new Grants("0f".repeat(32));
const SHOP = { namespace: "production", script: "shop" };
const CART: ServiceValue = {
  type: "service",
  namespace: "production",
  script: "cart",
  entrypoint: "Api",
  props: { b: 1, a: ["ä"] },
};

const OUTBOUND = { namespace: "production", script: "guard", parameters: { plan: "free" } };

const VALUES: readonly Granted[] = [
  CART,
  { type: "dispatch-namespace", namespace: "tenants" },
  { type: "dispatch-namespace", namespace: "tenants", outbound: { ...OUTBOUND, parameters: [] } },
  { type: "rate-limit", id: "1", limit: 5, periodSeconds: 10 },
  { type: "analytics", dataset: "visits" },
  { type: "assets", versionId: "v1" },
  { type: "outbound", ...OUTBOUND },
  { type: "traces" },
];

test("a grant holds for one binding of one function, under one key", async () => {
  for (const value of VALUES) {
    const grant = await grants.make(SHOP, value);
    for (const other of VALUES) {
      expect(await grants.hold(SHOP, other, grant)).toBe(other === value);
    }
    expect(await grants.hold({ ...SHOP, script: "cart" }, value, grant)).toBe(false);
    expect(await grants.hold({ ...SHOP, namespace: "staging" }, value, grant)).toBe(false);
    expect(await new Grants("00".repeat(32)).hold(SHOP, value, grant)).toBe(false);
    expect(await grants.hold(SHOP, value, `${grant.slice(0, -2)}zz`)).toBe(false);
    expect(await grants.hold(SHOP, value, undefined)).toBe(false);
  }
});

/** What a cell finds in a bundle that an edge sent. */
async function sent(value: ServiceValue): Promise<ServiceValue> {
  const bundle = { env: { CART: value, TEXT: { type: "value", value: 1 } }, modules: [] };
  const granted = await grants.addTo(bundle as unknown as Bundle, SHOP);
  const { env } = decodeBundle(encodeBundle(granted));
  expect(env["TEXT"]).toEqual({ type: "value", value: 1 });
  return env["CART"] as ServiceValue;
}

/** A call as it arrives at an edge. */
async function arrived(value: ServiceValue, more: Partial<BoundCall>) {
  const reached: unknown[] = [];
  const invoker = {
    invoke: (_namespace: string, call: unknown) => {
      reached.push(call);
      return Promise.resolve(new Response("reached"));
    },
  } as unknown as Invoker;
  const metrics = { METRICS: undefined } as never;
  const parts = { invoker, metrics, grants };
  const egress = {
    fetch: (request: Request) =>
      answerBound(parts, request, callerOf(request) as EgressCall, createExecutionContext()),
  } as unknown as Fetcher;
  const { namespace, script, entrypoint, props } = value;
  const via = ["production/shop"];
  const call = { namespace, script, entrypoint, args: props, options: undefined, via, ...more };
  const caller = { ...SHOP, isolate: "" };
  const answer = await callsThroughEgress(egress, egress, egress)
    .dispatch(caller, value, call as BoundCall, new Request("http://a/"), createExecutionContext())
    .then(
      (response) => response.text(),
      (error: Error) => error.message,
    );
  return { answer, reached };
}

describe("a call from a cell", () => {
  test("reaches what its binding names", async () => {
    const { answer, reached } = await arrived(await sent(CART), {});
    expect(answer).toBe("reached");
    expect(reached).toMatchObject([{ script: "cart", entrypoint: "Api", args: { a: ["ä"] } }]);
  });

  test.each<[string, Partial<BoundCall>]>([
    ["another function", { script: "bank" }],
    ["another namespace", { namespace: "workers" }],
    ["another entrypoint", { entrypoint: "Admin" }],
    ["other props", { args: { b: 2 } }],
    ["all of a namespace", { by: "dispatch" }],
  ])("does not reach %s", async (_, more) => {
    const { reached } = await arrived(await sent(CART), more);
    expect(reached).toEqual([]);
  });

  test("is nothing but a call", async () => {
    const forged = { asOutbound: { plan: "gold" }, event: "tail", versionId: "v2" };
    const { reached } = await arrived(await sent(CART), forged as Partial<BoundCall>);
    expect(Object.keys(reached[0] as object).toSorted()).toEqual(
      ["args", "entrypoint", "namespace", "options", "script", "via"].toSorted(),
    );
  });
});

test("neither assets, limits, data points, traces nor outbound Workers are there for who was not given them", async () => {
  const request = (body: unknown) =>
    new Request("http://a/", { method: "POST", body: JSON.stringify(body) });
  const hub = {} as HubClient;
  const caller: EgressCall = { ...SHOP, via: [], versionId: "v1", grant: "00".repeat(32) };
  const ctx = createExecutionContext();
  const parts = { invoker: {} as Invoker, metrics: {} as never, grants };
  const answers = await Promise.all([
    new Assets(hub, () => {}).answer(caller, request(0), grants),
    new RateLimits(0, []).answer(
      request({ value: { id: "1", limit: 1 }, key: "k" }),
      caller,
      grants,
    ),
    new Analytics(hub, () => {}).answer(request({ dataset: "a", point: {} }), caller, grants),
    takeTraces(
      request({ batches: [{}] }),
      caller,
      { traces: {} as Traces, grants, dispatcherEnv: {} as MetricsEnv },
      ctx,
    ),
    answerOutbound(parts, caller, OUTBOUND, request(0), ctx),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
});
