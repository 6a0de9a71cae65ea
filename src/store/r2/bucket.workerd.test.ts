/** What comes between an upload and its end. The rest is in test/conformance/r2.ts. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { R2_HEAD } from "../../protocol/r2.ts";
import type { StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";
import { bindR2, bucketOf } from "./bind.ts";

const env = bindings as unknown as StoreEnv;
const MIB = 2 ** 20;

async function make(
  limits: StoreConfig["limits"] = {},
  settings: StoreConfig["settings"] = {},
): Promise<string> {
  const id = crypto.randomUUID();
  const config: StoreConfig = {
    kind: "r2",
    id,
    accountId: `account-of-${id}`,
    namespaceId: `namespace-of-${id}`,
    namespace: "production",
    name: id,
    settings,
    limits,
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
    storage.sql.exec(`INSERT INTO files VALUES ('long', 'arriving', 'this', 9000000000000, 0)`);
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

describe("the quota of a namespace", () => {
  const REFUSAL =
    /the dispatch namespace 'production' may keep 16777216 bytes \(storage_mb=16\).* skep limits production storage_mb=/;
  const PART = new Uint8Array(5 * MIB);

  async function call(id: string, head: object, body: Uint8Array = new Uint8Array()) {
    const headers = {
      [R2_HEAD]: new TextEncoder().encode(JSON.stringify(head)).toBase64(),
      "content-length": String(body.byteLength),
    };
    const request = new Request("http://r2/", { method: "PUT", headers, body });
    const response = await bindR2(request, id, env, { waitUntil: () => {} });
    const answer = response.ok ? await response.json<Record<string, string>>() : {};
    return { answer, error: response.headers.get("cf-r2-error") ?? "", isKept: response.ok };
  }
  const begin = async (id: string) =>
    (await call(id, { method: "createMultipartUpload", object: "large" })).answer["uploadId"] ?? "";
  const part = (id: string, uploadId: string, partNumber: number) =>
    call(id, { method: "uploadPart", object: "large", uploadId, partNumber }, PART);
  const put = (id: string) => call(id, { method: "put", object: "other" }, PART);
  const abort = (id: string, uploadId: string) =>
    bucketOf(env, id).abortUpload({ method: "abortMultipartUpload", object: "large", uploadId });
  const counted = async (id: string) => {
    const [of] = await env.QUOTAS.getByName(`namespace-of-${id}`).usage();
    return of?.usage.bytes ?? 0;
  };

  /** Three parts, and none more. */
  async function filled(id: string): Promise<string> {
    const upload = await begin(id);
    for (const number of [1, 2, 3]) expect((await part(id, upload, number)).isKept).toBe(true);
    for (const refused of [await part(id, upload, 4), await put(id)]) {
      expect(refused.isKept).toBe(false);
      expect(refused.error).toMatch(REFUSAL);
    }
    return upload;
  }

  test("is filled by an open upload, until that is aborted", async () => {
    const id = await make({ storage_mb: 16 });
    const upload = await filled(id);
    await abort(id, upload);
    expect((await put(id)).isKept).toBe(true);
  });

  test("gets back what replaced parts took, and what an upload took that was given up", async () => {
    const id = await make({ storage_mb: 16 });
    const upload = await begin(id);
    for (let time = 0; time < 10; time++) {
      expect((await part(id, upload, 1)).isKept).toBe(true);
    }
    await abort(id, upload);
    await filled(id);
    const bucket = bucketOf(env, id);
    await runInDurableObject(bucket, (_instance, { storage }) => {
      storage.sql.exec(`UPDATE uploads SET created = created - ?`, 30 * 24 * 3600 * 1000);
    });
    await runDurableObjectAlarm(bucket);
    expect(await counted(id)).toBeLessThan(MIB);
    expect((await put(id)).isKept).toBe(true);
  });

  test("counts files of an object that was deleted as long as somebody may read them", async () => {
    const id = await make({ storage_mb: 16 });
    const upload = await begin(id);
    const parts = [];
    for (const number of [1, 2, 3]) {
      const { answer } = await part(id, upload, number);
      parts.push({ part: number, etag: answer["etag"] ?? "" });
    }
    const bucket = bucketOf(env, id);
    await bucket.completeUpload({
      method: "completeMultipartUpload",
      object: "large",
      uploadId: upload,
      parts,
    });
    await bucket.delete(["large"]);
    expect(await bucket.usage()).toEqual({ objects: 0, bytes: 0 });
    expect(await counted(id)).toBeGreaterThan(15 * MIB);
    expect((await put(id)).error).toMatch(REFUSAL);
    await runInDurableObject(bucket, (_instance, { storage }) => {
      storage.sql.exec(`UPDATE files SET due = 0`);
    });
    expect((await put(id)).isKept).toBe(true);
  });

  test("counts what describes objects and uploads", async () => {
    const id = await make({ storage_mb: 1 });
    const customFields = [{ k: "k", v: "v".repeat(8000) }];
    const fill = async (kept: (index: number) => Promise<{ isKept: boolean }>) => {
      let index = 0;
      while (index < 200 && (await kept(index)).isKept) index++;
      return index;
    };
    const uploads = await fill(() =>
      call(id, { method: "createMultipartUpload", object: "large", customFields }),
    );
    expect(uploads).toBeGreaterThan(100);
    expect(uploads).toBeLessThan(130);
    for (const { id: uploadId } of await openUploads(id)) await abort(id, uploadId);
    const objects = await fill((index) =>
      call(id, { method: "put", object: `object ${index}`, customFields }),
    );
    expect(objects).toBeGreaterThan(90);
    expect(objects).toBeLessThan(130);
    await bucketOf(env, id).delete(
      Array.from({ length: objects }, (_, index) => `object ${index}`),
    );
    expect(await counted(id)).toBeLessThan(100_000);
  });

  async function openUploads(id: string) {
    const listed = await bucketOf(env, id).listUploads("", { key: "", id: "" }, 1000);
    return "value" in listed ? listed.value : [];
  }
});

test("while many objects expire, others get their turns", async () => {
  const condition = { type: "Age", maxAge: 1 };
  const rule = {
    id: "old",
    enabled: true,
    conditions: { prefix: "old/" },
    deleteObjectsTransition: { condition },
  };
  const bucket = bucketOf(env, await make({}, { lifecycle: [rule] }));
  await runInDurableObject(bucket, (_instance, { storage }) => {
    storage.sql.exec(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
       INSERT INTO objects SELECT iif(i % 2, 'old/', 'young/') || i, i, 0, '', i / 7, '', '{}', '{}', '[]' FROM n`,
    );
  });
  const count = () =>
    runInDurableObject(bucket, (_instance, { storage }) =>
      storage.sql.exec<{ n: number }>(`SELECT count(*) AS n FROM objects`).one(),
    );
  const expired = runDurableObjectAlarm(bucket);
  const seen = new Set<number>();
  for (let isOver = false; !isOver;) {
    const { n } = await count();
    seen.add(n);
    isOver = n <= 1_500;
  }
  await expired;
  expect(await count()).toEqual({ n: 1_500 });
  expect([...seen].some((n) => n > 1_500 && n < 3_000)).toBe(true);
});
