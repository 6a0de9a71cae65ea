/** Variants of a version in one process (protocol/outbound.ts). */
import { beforeEach, describe, expect, it } from "vitest";
import { isolateId, outboundVariant, parametersVariant } from "../protocol/outbound.ts";
import { bundleOf } from "./test/function.ts";
import type { HostState } from "./test/host.ts";
import { host, taken } from "./test/workers.ts";

const OUTBOUND = { namespace: "ops", script: "out", parameters: ["customer", "plan"] };

const SOURCE = `
  let calls = 0;
  export default { async fetch(request, env) {
    if (request.url.endsWith("/fetch")) await fetch("http://elsewhere.test/");
    return Response.json({ calls: ++calls, env });
  } };`;

beforeEach(async () => {
  await taken();
});

describe("a variant", () => {
  it("has an isolate of its own, whose fetches name the outbound Worker and the parameters", async () => {
    const bundle = bundleOf(SOURCE);
    const variants = await Promise.all(
      ["Zoë", "acme"].map((customer) => outboundVariant(OUTBOUND, { customer })),
    );
    const ids = [undefined, ...variants].map((variant) => isolateId(bundle.versionId, variant));
    expect(new Set(ids).size).toBe(3);
    await host.loadBundle(bundle);
    for (const variant of variants) await host.loadBundle(bundle, { variant });
    for (const id of ids) {
      expect(JSON.parse(await host.text(id, { path: "/fetch" }))).toEqual({ calls: 1, env: {} });
    }
    const texts = (await taken()).map(({ headers }) => headers["x-skep-egress"] ?? "");
    expect(texts.map((text) => JSON.parse(text).outbound)).toEqual([
      undefined,
      { namespace: "ops", script: "out", parameters: { customer: "Zoë" } },
      { namespace: "ops", script: "out", parameters: { customer: "acme" } },
    ]);
    expect(texts.join("")).toMatch(/^[ -~]*$/);
  });

  it("is the same whatever the order of the parameters", async () => {
    const one = await outboundVariant(OUTBOUND, { customer: "acme", plan: undefined });
    const other = await outboundVariant(OUTBOUND, { plan: 1, customer: "acme" });
    expect(await outboundVariant(OUTBOUND, { customer: "acme" })).toEqual(one);
    expect(await outboundVariant(OUTBOUND, { customer: "acme", plan: 1 })).toEqual(other);
    expect(other.digest).not.toBe(one.digest);
  });

  it("that is called as an outbound Worker has the parameters in its env", async () => {
    const bundle = bundleOf(SOURCE, { env: { OWN: { type: "value", value: "own" } } });
    const variant = await parametersVariant({ customer: { id: 7 } });
    await host.loadBundle(bundle, variant && { variant });
    const { env } = JSON.parse(await host.text(isolateId(bundle.versionId, variant)));
    expect(env).toEqual({ OWN: "own", customer: { id: 7 } });
    expect(await parametersVariant({})).toBeUndefined();
  });

  it("ends with its version", async () => {
    const bundle = bundleOf(SOURCE);
    const variant = await outboundVariant(OUTBOUND, {});
    await host.loadBundle(bundle);
    await host.loadBundle(bundle, { variant });
    await host.do(`supersede?version=${bundle.versionId}`);
    for (const id of [bundle.versionId, isolateId(bundle.versionId, variant)]) {
      expect((await host.call(id)).status).toBe(404);
    }
  });

  it("does not take the room of other functions, however many there are", async () => {
    const other = await host.load(SOURCE);
    const { size } = await host.state<HostState>();
    const bundle = bundleOf(SOURCE);
    let latest = bundle.versionId;
    for (let n = 0; n < 60; n++) {
      const variant = await outboundVariant(OUTBOUND, { customer: n });
      await host.loadBundle(bundle, { variant });
      latest = isolateId(bundle.versionId, variant);
    }
    expect((await host.state<HostState>()).size).toBeLessThanOrEqual(size + 50);
    expect((await host.call(latest)).status).toBe(200);
    expect((await host.call(other)).status).toBe(200);
  });
});
