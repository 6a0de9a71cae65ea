/** What comes between an upload and its end. The rest is in test/conformance/r2.ts. */
import { runInDurableObject } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import { expect, test } from "vitest";
import { R2_HEAD } from "../../protocol/r2.ts";
import type { StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";
import { bindR2, bucketOf } from "./bind.ts";

const env = bindings as unknown as StoreEnv;
const MIB = 2 ** 20;

async function make(): Promise<string> {
  const id = crypto.randomUUID();
  const config: StoreConfig = {
    kind: "r2",
    id,
    accountId: `account-of-${id}`,
    namespaceId: null,
    namespace: null,
    name: id,
    settings: {},
    limits: {},
  };
  await bucketOf(env, id).configure(config);
  return id;
}

test("a bucket that is deleted while something arrives leaves no file", async () => {
  const id = await make();
  const { readable, writable } = new IdentityTransformStream();
  const head = new TextEncoder().encode(
    JSON.stringify({ method: "put", object: "late", anyLength: true }),
  );
  const request = new Request("http://r2/", {
    method: "PUT",
    headers: { [R2_HEAD]: head.toBase64() },
    body: readable,
  });
  const put = bindR2(request, id, env, { waitUntil: () => {} });
  const writer = writable.getWriter();
  await writer.write(new Uint8Array(MIB));
  await bucketOf(env, id).destroy();
  await writer.write(new Uint8Array(MIB));
  await writer.close();
  expect((await put).ok).toBe(false);
  expect((await env.FILES.fetch(`http://files/r2/${id}`)).status).toBe(404);
});

test("an upload outlives its bucket's object", async () => {
  const id = await make();
  const reserved = await bucketOf(env, id).reserve({ object: "long" }, MIB);
  if ("failure" in reserved) throw new Error(reserved.failure.reason);
  const ended = runInDurableObject(bucketOf(env, id), async (_instance, ctx) => {
    await ctx.storage.sync();
    ctx.abort("idle");
  });
  await ended.catch(() => {
    // The object ends with the call.
  });
  const bucket = bucketOf(env, id);
  expect(await bucket.extend(reserved.value, MIB)).toEqual({ value: null });
  expect(await bucket.extend("another", MIB)).toMatchObject({
    failure: { reason: "internal-error" },
  });
});
