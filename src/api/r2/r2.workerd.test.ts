import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  bootstrap,
  call,
  deploy,
  hello,
  hub,
  limitedToken,
  MAIN,
  NAMESPACES,
  request,
  scriptPath,
  uploadForm,
} from "../../hub/test/api.ts";
import { registryOf } from "../../registry/client.ts";
import type { WrittenChange } from "../../protocol/changes.ts";

const BUCKETS = `/accounts/${ACCOUNT}/r2/buckets`;

beforeAll(async () => {
  await bootstrap();
});

let bucket = "";
beforeEach(async () => {
  bucket = `bucket-${crypto.randomUUID()}`;
  const made = await call("POST", BUCKETS, { name: bucket });
  if (!made.success) throw new Error(JSON.stringify(made.errors));
});

const one = (rest = "") => `${BUCKETS}/${bucket}${rest}`;
const put = (key: string, body: BodyInit, headers = {}) =>
  request("PUT", one(`/objects/${key}`), { body, headers });

describe("a bucket", () => {
  it("is shown, listed and deleted", async () => {
    expect((await call("GET", one())).result).toMatchObject({
      name: bucket,
      location: "auto",
      storage_class: "Standard",
    });
    const { result } = await call("GET", BUCKETS);
    expect(result.buckets.map(({ name }: { name: string }) => name)).toContain(bucket);
    expect((await call("DELETE", one())).result).toEqual({});
    const gone = await call("GET", one());
    expect([gone.status, gone.errors[0]?.code]).toEqual([404, 10006]);
  });

  it.each(["UP", "a", "-ab", "ab-", "a_b", "a.b", "x".repeat(64)])(
    "may not be named %s",
    async (name) => {
      const { status, errors } = await call("POST", BUCKETS, { name });
      expect([status, errors[0]?.code]).toEqual([400, 10005]);
    },
  );

  it("is refused twice, and with a jurisdiction", async () => {
    const again = await call("POST", BUCKETS, { name: bucket });
    expect([again.status, again.errors[0]?.code]).toEqual([409, 10004]);
    const far = await call("POST", BUCKETS, { name: "far-away" }, { "cf-r2-jurisdiction": "eu" });
    expect(far.errors[0]?.message).toContain("jurisdiction");
  });

  it("is not deleted while something is in it", async () => {
    await put("a", "x");
    const refused = await call("DELETE", one());
    expect([refused.status, refused.errors[0]?.code]).toEqual([409, 10008]);
    await call("DELETE", one("/objects/a"));
    expect((await call("DELETE", one())).success).toBe(true);
  });

  it("has another storage class for what comes", async () => {
    const headers = { "cf-r2-storage-class": "InfrequentAccess" };
    expect((await call("PATCH", one(), null, headers)).result.storage_class).toBe(
      "InfrequentAccess",
    );
    await put("a", "x");
    expect((await call("GET", one("/objects"))).result[0].storage_class).toBe("InfrequentAccess");
  });

  it("of one namespace is not seen by a token for another", async () => {
    await call("POST", NAMESPACES, { name: "other" });
    const mine = await limitedToken(`mine-${bucket}`, { namespaces: ["production"] });
    const other = await limitedToken(`other-${bucket}`, { namespaces: ["other"] });
    const by = (token: string) => ({ authorization: `Bearer ${token}` });
    const name = `own-${bucket.slice(-20)}`;
    await call("POST", BUCKETS, { name }, by(mine));
    expect((await call("GET", `${BUCKETS}/${name}`, undefined, by(mine))).success).toBe(true);
    for (const [method, rest] of [
      ["GET", ""],
      ["DELETE", ""],
      ["GET", "/objects"],
      ["GET", "/objects/a"],
      ["PUT", "/objects/a"],
      ["DELETE", "/objects/a"],
      ["PUT", "/lifecycle"],
    ] as const) {
      const body = method === "PUT" ? { rules: [] } : undefined;
      const { errors } = await call(method, `${BUCKETS}/${name}${rest}`, body, by(other));
      expect(errors[0]?.code, `${method} ${rest}`).toBe(10006);
    }
    // Names are those of a namespace.
    expect((await call("POST", BUCKETS, { name }, by(other))).success).toBe(true);
  });

  it("goes with its namespace", async () => {
    const name = `goes-${bucket.slice(-20)}`;
    await call("POST", NAMESPACES, { name });
    await call("POST", `${BUCKETS}?dispatch_namespace=${name}`, { name });
    await call("PUT", `${BUCKETS}/${name}/objects/a`, "x");
    expect((await call("DELETE", `${NAMESPACES}/${name}`)).success).toBe(true);
    expect((await call("GET", `${BUCKETS}/${name}`)).status).toBe(404);
  });
});

describe("an object", () => {
  it("comes back as it went, with its headers", async () => {
    const body = new Uint8Array(200_000).map((_, index) => index % 251);
    const answer = await put("dir//deep/ä b+c%25", body, {
      "content-type": "image/x",
      "cache-control": "max-age=1",
      "content-disposition": "inline",
    });
    expect((await answer.json<{ result: object }>()).result).toMatchObject({
      key: "dir//deep/ä b+c%",
      size: "200000",
    });
    const found = await request("GET", one("/objects/dir//deep/%C3%A4%20b+c%25"));
    expect(new Uint8Array(await found.arrayBuffer())).toEqual(body);
    expect(found.headers.get("content-type")).toBe("image/x");
    expect(found.headers.get("cache-control")).toBe("max-age=1");
    const part = await request("GET", one("/objects/dir//deep/%C3%A4%20b+c%25"), {
      headers: { range: "bytes=100-109" },
    });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 100-109/200000"]);
    expect(new Uint8Array(await part.arrayBuffer())).toEqual(body.slice(100, 110));
  });

  it("may come without its length", async () => {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    const sent = put("chunked", readable);
    for (let index = 0; index < 50; index++) await writer.write(new Uint8Array(10_000).fill(index));
    await writer.close();
    expect((await (await sent).json<{ result: object }>()).result).toMatchObject({
      size: "500000",
    });
  });

  it("is not sent again to who has it", async () => {
    const { result } = await (await put("a", "x")).json<{ result: { etag: string } }>();
    const headers = { "if-none-match": `"${result.etag}"` };
    expect((await request("GET", one("/objects/a"), { headers })).status).toBe(304);
    const other = { "if-match": `"other"` };
    expect((await call("GET", one("/objects/a"), undefined, other)).errors[0]?.code).toBe(10031);
  });

  it("that is not there", async () => {
    const { status, errors } = await call("GET", one("/objects/absent"));
    expect([status, errors[0]?.code]).toEqual([404, 10007]);
    expect((await call("DELETE", one("/objects/absent"))).success).toBe(true);
    const nowhere = await call("PUT", `${BUCKETS}/no-such-bucket/objects/a`, "x");
    expect([nowhere.status, nowhere.errors[0]?.code]).toEqual([404, 10006]);
  });

  it("is listed, page after page", async () => {
    for (const key of ["a", "b/1", "b/2", "c"]) await put(key, key);
    const page = async (query: string) => call("GET", one(`/objects?${query}`));
    const first = await page("per_page=2&delimiter=/");
    expect(first.result.map(({ key }: { key: string }) => key)).toEqual(["a"]);
    expect(first.result_info).toMatchObject({ is_truncated: true, delimited: ["b/"] });
    const { cursor } = first.result_info as unknown as { cursor: string };
    const second = await page(`per_page=2&delimiter=/&cursor=${cursor}`);
    expect(second.result.map(({ key }: { key: string }) => key)).toEqual(["c"]);
    expect(second.result_info).toMatchObject({ is_truncated: false, cursor: "" });
  });

  it("needs the permission 'data'", async () => {
    const token = await limitedToken(`reads-${bucket}`, { permissions: ["read", "deploy"] });
    const headers = { authorization: `Bearer ${token}` };
    expect((await call("GET", one(), undefined, headers)).success).toBe(true);
    expect((await call("GET", one("/objects/a"), undefined, headers)).status).toBe(403);
    expect((await call("PUT", one("/objects/a"), "x", headers)).status).toBe(403);
  });
});

describe("rules", () => {
  it("of CORS", async () => {
    expect((await call("GET", one("/cors"))).errors[0]?.code).toBe(10059);
    const rules = [{ allowed: { origins: ["https://a.example"], methods: ["GET"] } }];
    await call("PUT", one("/cors"), { rules });
    expect((await call("GET", one("/cors"))).result).toEqual({ rules });
    await call("DELETE", one("/cors"));
    expect((await call("GET", one("/cors"))).status).toBe(404);
  });

  it("of lifecycle: the default, others, and what is not supported", async () => {
    expect((await call("GET", one("/lifecycle"))).result.rules[0].id).toContain("Default");
    const condition = { type: "Age", maxAge: 86_400 };
    const rules = [
      {
        id: "old",
        enabled: true,
        conditions: { prefix: "tmp/" },
        deleteObjectsTransition: { condition },
      },
    ];
    await call("PUT", one("/lifecycle"), { rules });
    expect((await call("GET", one("/lifecycle"))).result).toEqual({ rules });
    const colder = { ...rules[0], storageClassTransitions: [{ condition }] };
    const refused = await call("PUT", one("/lifecycle"), { rules: [colder] });
    expect(refused.errors[0]?.message).toContain("storageClassTransitions: is not supported");
  });
});

describe("event notifications", () => {
  const configuration = () => `/accounts/${ACCOUNT}/event_notifications/r2/${bucket}/configuration`;

  async function queue(): Promise<string> {
    const id = crypto.randomUUID().replaceAll("-", "");
    await registryOf(hub).createResource({
      id,
      accountId: ACCOUNT,
      namespaceId: null,
      kind: "queue",
      name: `queue-${id}`,
      settings: {},
    });
    return id;
  }

  async function changes(after = 0): Promise<WrittenChange[]> {
    const found = await registryOf(hub).resource(
      { accountId: ACCOUNT, kind: "r2" },
      { name: bucket },
    );
    const url = `http://store/r2/${found?.id}/changes?after=${after}&limit=100`;
    return (await hub.STORE.fetch(url)).json();
  }

  it("are written down for the queues whose rules match", async () => {
    expect((await call("GET", configuration())).status).toBe(404);
    const [images, all] = [await queue(), await queue()];
    const rule = { prefix: "img/", suffix: ".png", actions: ["PutObject"] };
    await call("PUT", `${configuration()}/queues/${images}`, { rules: [rule] });
    const every = { actions: ["PutObject", "DeleteObject"] };
    await call("PUT", `${configuration()}/queues/${all}`, { rules: [every] });
    await put("img/a.png", "x");
    await put("img/a.jpg", "xy");
    await call("DELETE", one("/objects/img/a.png"));
    await call("DELETE", one("/objects/absent"));
    const found = await changes();
    expect(found.map(({ queues, message }) => [queues, message.action, message.object])).toEqual([
      [
        [images, all],
        "PutObject",
        { key: "img/a.png", size: 1, eTag: "9dd4e461268c8034f5c8564e155c67a6" },
      ],
      [[all], "PutObject", expect.objectContaining({ key: "img/a.jpg", size: 2 })],
      [[all], "DeleteObject", { key: "img/a.png" }],
    ]);
    expect(found[0]?.message).toMatchObject({ account: ACCOUNT, bucket });
    expect((await changes(found[1]?.seq)).length).toBe(1);

    const { result } = await call("GET", configuration());
    expect(result.queues.map(({ queueId }: { queueId: string }) => queueId)).toEqual([images, all]);
    const [{ ruleId }] = result.queues[0].rules;
    await call("DELETE", `${configuration()}/queues/${images}`, { ruleIds: [ruleId] });
    expect((await call("GET", `${configuration()}/queues/${images}`)).status).toBe(404);
    await call("DELETE", `${configuration()}/queues/${all}`);
    await put("img/b.png", "x");
    expect((await changes()).length).toBe(3);
  });

  it("are not written down for a queue that is gone", async () => {
    const id = await queue();
    await call("PUT", `${configuration()}/queues/${id}`, { rules: [{ actions: ["PutObject"] }] });
    await put("a", "x");
    expect((await changes()).length).toBe(1);
    await call("DELETE", `/accounts/${ACCOUNT}/queues/${id}`);
    await put("b", "x");
    expect((await changes()).length).toBe(1);
  });
});

it("wrangler r2 bucket info is told how much is in a bucket", async () => {
  await put("a", "12345");
  const response = await request("POST", "/graphql", {
    body: JSON.stringify({
      query: "query",
      operationName: "getR2StorageMetrics",
      variables: { filter: { bucketName: bucket } },
    }),
  });
  expect(await response.json()).toMatchObject({
    data: {
      viewer: {
        accounts: [{ r2StorageAdaptiveGroups: [{ max: { objectCount: 1, payloadSize: 5 } }] }],
      },
    },
  });
});

it("a Worker is bound to it by name, and to none that is not there", async () => {
  const bindings = (bucket_name: string) => [{ type: "r2_bucket", name: "BUCKET", bucket_name }];
  const form = (name: string) => uploadForm({ ...MAIN, bindings: bindings(name) }, hello);
  expect((await deploy("with-bucket", form(bucket))).errors).toEqual([]);
  const { result } = await call("GET", `${scriptPath("with-bucket")}/bindings`);
  expect(result).toEqual(bindings(bucket));
  expect((await deploy("with-bucket", form("no-such-bucket"))).errors[0]?.code).toBe(10041);
});
