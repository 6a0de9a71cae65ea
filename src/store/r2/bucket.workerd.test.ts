/** What comes between an upload and its end. The rest is in test/conformance/r2.ts. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { R2_HEAD, type R2CreateUpload } from "../../protocol/r2.ts";
import type { LifecycleCondition, LifecycleRule } from "../../protocol/r2-rules.ts";
import type { StoreConfig } from "../../protocol/store.ts";
import type { StoreEnv } from "../env.ts";
import { bindR2, bucketOf } from "./bind.ts";

const env = bindings as unknown as StoreEnv;
const MIB = 2 ** 20;

async function make(
  limits: StoreConfig["limits"] = {},
  settings: StoreConfig["settings"] = {},
  given: Partial<StoreConfig> = {},
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
    ...given,
  };
  await bucketOf(env, id).configure(config);
  return id;
}

type Bucket = ReturnType<typeof bucketOf>;

const arrived = { size: 1, md5: "00".repeat(16), content: { bytes: new Uint8Array(1) } };
const put = (bucket: Bucket, object: string) => bucket.put({ object, checksums: {}, arrived });
const upload = async (bucket: Bucket, object: string): Promise<string> => {
  const made = await bucket.createUpload({
    method: "createMultipartUpload",
    object,
  } as R2CreateUpload);
  if ("failure" in made) throw new Error(made.failure.reason);
  return made.value;
};

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

  test("bounds the number of objects", async () => {
    const id = await make({ r2_objects: 2 });
    const keep = (object: string) => call(id, { method: "put", object });
    for (const key of ["a", "b", "a"]) expect((await keep(key)).isKept).toBe(true);
    expect((await keep("c")).error).toContain("may keep 2 R2 objects (r2_objects=2)");
    expect((await keep("a")).isKept).toBe(true);
    await bucketOf(env, id).delete(["a"]);
    expect((await keep("c")).isKept).toBe(true);
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

describe("lifecycle rules", () => {
  const DAY_SECONDS = 86_400;
  const age = (days: number): LifecycleCondition => ({ type: "Age", maxAge: days * DAY_SECONDS });
  const ending = (condition: LifecycleCondition, given: Partial<LifecycleRule> = {}) => ({
    id: "rule",
    enabled: true,
    deleteObjectsTransition: { condition },
    ...given,
  });

  /** Everything in it is so much older from now on. */
  const grow = (bucket: Bucket, days: number) =>
    runInDurableObject(bucket, (_instance, { storage: { sql } }) => {
      const ms = days * DAY_SECONDS * 1000;
      sql.exec(`UPDATE objects SET uploaded = uploaded - ?`, ms);
      sql.exec(`UPDATE uploads SET created = created - ?`, ms);
    });
  const left = (bucket: Bucket) =>
    runInDurableObject(bucket, (_instance, { storage: { sql } }) =>
      ["objects", "uploads WHERE state = 'open'"].flatMap((table) =>
        sql.exec<{ key: string }>(`SELECT key FROM ${table} ORDER BY key`).toArray(),
      ),
    ).then((rows) => rows.map(({ key }) => key));
  const nextAlarm = (bucket: Bucket) =>
    runInDurableObject(bucket, (_instance, { storage }) => storage.getAlarm());

  test("delete what is too old, and tell whoever follows", async () => {
    const lifecycle = [ending(age(2), { conditions: { prefix: "tmp/" } })];
    const rules = [{ actions: ["LifecycleDeletion"] }];
    const notifications = [{ queueId: "follower", rules }];
    const bucket = bucketOf(env, await make({}, { lifecycle, notifications }));
    await put(bucket, "tmp/old");
    await put(bucket, "kept");
    await grow(bucket, 3);
    await put(bucket, "tmp/new");
    expect(await runDurableObjectAlarm(bucket)).toBe(true);
    expect(await left(bucket)).toEqual(["kept", "tmp/new"]);
    expect(await bucket.usage()).toEqual({ objects: 2, bytes: 2 });
    const told = await runInDurableObject(bucket, (instance) => instance.changes(0, 10));
    expect(told).toMatchObject([
      {
        queues: ["follower"],
        message: { action: "LifecycleDeletion", object: { key: "tmp/old" } },
      },
    ]);
    // It looks again by itself.
    expect(await nextAlarm(bucket)).toBeGreaterThan(Date.now());
    await grow(bucket, 3);
    await runDurableObjectAlarm(bucket);
    expect(await left(bucket)).toEqual(["kept"]);
  });

  test("delete from a day on, and nothing where they are not enabled", async () => {
    const inDays = (days: number) => ({
      type: "Date" as const,
      date: new Date(Date.now() + days * DAY_SECONDS * 1000).toISOString(),
    });
    const lifecycle = [
      ending(inDays(-1), { conditions: { prefix: "past/" } }),
      ending(inDays(1), { conditions: { prefix: "future/" } }),
      ending(age(0), { enabled: false }),
    ];
    const bucket = bucketOf(env, await make({}, { lifecycle }));
    for (const key of ["past/a", "future/a", "other"]) await put(bucket, key);
    await grow(bucket, 1);
    await runDurableObjectAlarm(bucket);
    expect(await left(bucket)).toEqual(["future/a", "other"]);
  });

  test("abort uploads, after seven days if nothing else is said", async () => {
    const usual = bucketOf(env, await make());
    const condition = age(1);
    const lifecycle = [
      {
        id: "abort",
        enabled: true,
        conditions: { prefix: "a/" },
        abortMultipartUploadsTransition: { condition },
      },
    ];
    const own = bucketOf(env, await make({}, { lifecycle }));
    for (const bucket of [usual, own]) {
      const id = await upload(bucket, "a/1");
      const part = { method: "uploadPart", object: "a/1", uploadId: id, partNumber: 1 } as const;
      expect(await bucket.putPart(part, arrived)).toHaveProperty("value");
      await upload(bucket, "b/1");
      await grow(bucket, 2);
      await runDurableObjectAlarm(bucket);
    }
    expect(await left(usual)).toEqual(["a/1", "b/1"]);
    expect(await left(own)).toEqual(["b/1"]);
    expect(await own.usage()).toEqual({ objects: 0, bytes: 0 });
    await grow(usual, 6);
    expect(await nextAlarm(usual)).toBeGreaterThan(Date.now());
    await runDurableObjectAlarm(usual);
    expect(await left(usual)).toEqual([]);
    expect(await usual.usage()).toEqual({ objects: 0, bytes: 0 });
  });
});

test("a quota of objects holds for all buckets of a namespace, however objects are made", async () => {
  const namespaceId = crypto.randomUUID();
  const one = bucketOf(env, await make({ r2_objects: 3 }, {}, { namespaceId }));
  const other = bucketOf(env, await make({ r2_objects: 3 }, {}, { namespaceId }));
  const refused = {
    failure: { reason: "over-quota", message: expect.stringContaining("may keep 3 R2 objects") },
  };
  for (const key of ["a", "b"]) expect(await put(one, key)).toHaveProperty("value");
  const uploadId = await upload(other, "parts");
  const target = { object: "parts", uploadId };
  const part = await other.putPart({ method: "uploadPart", partNumber: 1, ...target }, arrived);
  if ("failure" in part) throw new Error(part.failure.reason);
  expect(await put(other, "c")).toHaveProperty("value");
  expect(await put(one, "d")).toMatchObject(refused);
  const parts = [{ part: 1, etag: part.value }];
  const complete = () =>
    other.completeUpload({ method: "completeMultipartUpload", parts, ...target });
  expect(await complete()).toMatchObject(refused);
  // What is there may be replaced, and what goes makes room.
  expect(await put(one, "a")).toHaveProperty("value");
  await one.delete(["a"]);
  await expect.poll(complete).toHaveProperty("value");
  expect(await put(one, "a")).toMatchObject(refused);
  const counts = await Promise.all([one.usage(), other.usage()]);
  expect(counts.map(({ objects }) => objects)).toEqual([1, 2]);
});
