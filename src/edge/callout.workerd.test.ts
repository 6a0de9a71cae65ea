/** How a URL is told: as the function's own fetch goes out, and so through the outbound Worker of its namespace. */
import { expect, test } from "vitest";
import { callerOf, type EgressCall } from "../protocol/egress.ts";
import { Grants } from "../protocol/grants.ts";
import type { OutboundTarget } from "../protocol/outbound.ts";
import { callOut } from "./callout.ts";

const grants = new Grants("00".repeat(32));
const callout = { namespace: "tenants", script: "f", url: "https://example.com/", text: "{}" };

async function sent(outbound: OutboundTarget | undefined): Promise<EgressCall | undefined> {
  let seen: EgressCall | undefined;
  const egress = {
    fetch(url: string, init: RequestInit) {
      seen = callerOf(new Request(url, init));
      return Promise.resolve(new Response(null, { status: 204 }));
    },
  } as unknown as Fetcher;
  const invoker = { outboundOf: () => Promise.resolve(outbound) };
  expect(await callOut({ egress, invoker, grants }, callout)).toEqual({ status: 204 });
  return seen;
}

test("without an outbound Worker it goes where the URL says", async () => {
  const call = { namespace: "tenants", script: "f", via: ["tenants/f"] };
  expect(await sent(undefined)).toEqual(call);
});

test("the outbound Worker of the namespace gets it, as granted", async () => {
  const target = { namespace: "platform", script: "out", parameters: {} };
  const call = await sent(target);
  expect(call?.outbound).toMatchObject(target);
  const value = { type: "outbound", ...target } as const;
  expect(await grants.hold(callout, value, call?.outbound?.grant)).toBe(true);
});
