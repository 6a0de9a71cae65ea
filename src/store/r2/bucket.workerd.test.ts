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
  const isKept = bindR2(request, id, env, { waitUntil: () => {} }).then(
    ({ ok }) => ok,
    () => false,
  );
  const writer = writable.getWriter();
  await writer.write(new Uint8Array(MIB));
  await bucketOf(env, id).destroy();
  await writer.write(new Uint8Array(MIB));
  await writer.close();
  expect(await isKept).toBe(false);
  expect((await env.FILES.fetch(`http://files/r2/${id}`)).status).toBe(404);
});

test("an upload goes on of which the object has forgotten the room", async () => {
  const bucket = bucketOf(env, await make());
  await runInDurableObject(bucket, (_instance, { storage }) => {
    storage.sql.exec(`INSERT INTO files VALUES ('long', 'arriving', 'this', 9000000000000)`);
  });
  expect(await bucket.extend("long", MIB)).toEqual({ value: null });
  expect(await bucket.extend("another", MIB)).toMatchObject({
    failure: { reason: "internal-error" },
  });
});

test("a call of other types than those of the protocol is refused", async () => {
  const id = await make();
  const send = async (call: unknown, content?: string) => {
    const headers = { [R2_HEAD]: new TextEncoder().encode(JSON.stringify(call)).toBase64() };
    const init = content === undefined ? { headers } : { method: "PUT", headers, body: content };
    const request = new Request("http://r2/", init);
    return (await bindR2(request, id, env, { waitUntil: () => {} })).status;
  };
  const put = { method: "put", object: "a", anyLength: true };
  expect(await send(put, "content")).toBe(200);
  // Once this never ended, and with it the whole process.
  expect(await send({ method: "list", limit: "many", delimiter: [] })).toBe(400);
  for (const call of [null, 1, {}, { method: "toString" }, { method: "get", object: {} }]) {
    expect(await send(call)).toBe(400);
  }
  const large = { k: { text: "x".repeat(100_000) }, v: 1 };
  for (const more of [{ object: 1 }, { customFields: [large] }, { onlyIf: { etagMatches: 1 } }]) {
    expect(await send({ ...put, ...more }, "content")).toBe(400);
  }
  expect(
    await send({ method: "createMultipartUpload", object: "b", customFields: [large] }, ""),
  ).toBe(400);
});
