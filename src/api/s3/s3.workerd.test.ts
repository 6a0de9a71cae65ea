import { runInDurableObject } from "cloudflare:test";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  bootstrap,
  call,
  ACCOUNT,
  hub,
  limitedToken,
  sha256Hex,
  TOKEN,
} from "../../hub/test/api.ts";
import { S3Client, send } from "../../hub/test/s3.ts";
import { scopeText, signature } from "./sigv4.ts";

const MIB = 2 ** 20;
let s3: S3Client;
let bucket = "";

async function clientOf(token: string): Promise<S3Client> {
  const secretAccessKey = await sha256Hex(token);
  const accessKeyId = await runInDurableObject(
    hub.REGISTRY.getByName("registry"),
    (_instance, { storage }) =>
      storage.sql
        .exec<{ id: string }>(`SELECT id FROM tokens WHERE hash = ?`, secretAccessKey)
        .one().id,
  );
  return new S3Client({ accessKeyId, secretAccessKey });
}

beforeAll(async () => {
  await bootstrap();
  s3 = await clientOf(TOKEN);
});

beforeEach(async () => {
  bucket = `s3-${crypto.randomUUID()}`;
  const made = await s3.fetch("PUT", `/${bucket}`);
  if (!made.ok) throw new Error(await made.text());
});

const put = (key: string, body: BodyInit, init = {}) =>
  s3.fetch("PUT", `/${bucket}/${key}`, { body, ...init });

async function code(answer: Promise<Response>): Promise<unknown[]> {
  const response = await answer;
  const [, found] = /<Code>(\w+)<\/Code>/.exec(await response.text()) ?? [];
  return [response.status, found];
}

function all(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map(([, one]) => one!);
}

function bytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(length).map((_, index) => (index * 7) & 255);
}

async function hash(data: string | Uint8Array<ArrayBuffer>, name = "SHA-256"): Promise<Uint8Array> {
  const content = typeof data === "string" ? new TextEncoder().encode(data) : data;
  return new Uint8Array(await crypto.subtle.digest(name, content));
}

describe("buckets", () => {
  it("are made, listed and deleted", async () => {
    const listed = await (await s3.fetch("GET", "/")).text();
    expect(all(listed, "Name")).toContain(bucket);
    expect((await s3.fetch("HEAD", `/${bucket}`)).status).toBe(200);
    expect(await (await s3.fetch("GET", `/${bucket}?location`)).text()).toContain("auto");
    expect(await code(s3.fetch("PUT", `/${bucket}`))).toEqual([409, "BucketAlreadyOwnedByYou"]);
    await put("a", "x");
    expect(await code(s3.fetch("DELETE", `/${bucket}`))).toEqual([409, "BucketNotEmpty"]);
    await s3.fetch("DELETE", `/${bucket}/a`);
    expect((await s3.fetch("DELETE", `/${bucket}`)).status).toBe(204);
    expect((await s3.fetch("HEAD", `/${bucket}`)).status).toBe(404);
    expect(await code(s3.fetch("GET", `/${bucket}`))).toEqual([404, "NoSuchBucket"]);
    expect(await code(s3.fetch("PUT", "/Bad_Name"))).toEqual([400, "InvalidBucketName"]);
  });

  it("say what they do not support", async () => {
    expect(await code(s3.fetch("GET", `/${bucket}?acl`))).toEqual([501, "NotImplemented"]);
    expect(await code(s3.fetch("PUT", `/${bucket}?versioning`))).toEqual([501, "NotImplemented"]);
    expect(await code(s3.fetch("GET", `/${bucket}/a?tagging`))).toEqual([501, "NotImplemented"]);
  });
});

describe("objects", () => {
  it("come back as they went, with their metadata", async () => {
    const body = bytes(300_000);
    const made = await put("a%20b/%C3%BC+.bin", body, {
      headers: {
        "content-type": "text/x",
        "content-encoding": "aws-chunked,gzip",
        "x-amz-meta-color": "red",
        "x-amz-storage-class": "STANDARD_IA",
      },
    });
    const etag = `"${(await hash(body, "MD5")).toHex()}"`;
    expect([made.status, made.headers.get("etag")]).toEqual([200, etag]);
    const head = await s3.fetch("HEAD", `/${bucket}/a%20b/%C3%BC+.bin`);
    expect(Object.fromEntries(head.headers)).toMatchObject({
      etag,
      "content-length": "300000",
      "content-type": "text/x",
      "x-amz-meta-color": "red",
      "x-amz-storage-class": "STANDARD_IA",
    });
    const range = { range: "bytes=299990-" };
    const part = await s3.fetch("GET", `/${bucket}/a%20b/%C3%BC+.bin`, { headers: range });
    expect([part.status, part.headers.get("content-range")]).toEqual([
      206,
      "bytes 299990-299999/300000",
    ]);
    await part.body?.cancel();
    const past = { range: "bytes=300000-" };
    expect(await code(s3.fetch("GET", `/${bucket}/a%20b/%C3%BC+.bin`, { headers: past }))).toEqual([
      416,
      "InvalidRange",
    ]);
  });

  it("are what a condition says", async () => {
    const etag = (await put("a", "x")).headers.get("etag") ?? "";
    const get = (headers: Record<string, string>) => s3.fetch("GET", `/${bucket}/a`, { headers });
    expect((await get({ "if-none-match": etag })).status).toBe(304);
    expect((await get({ "if-match": etag })).status).toBe(200);
    expect(await code(get({ "if-match": `"other"` }))).toEqual([412, "PreconditionFailed"]);
    const once = { headers: { "if-none-match": "*" } };
    expect(await code(put("a", "y", once))).toEqual([412, "PreconditionFailed"]);
    expect(await code(s3.fetch("GET", `/${bucket}/absent`))).toEqual([404, "NoSuchKey"]);
  });

  it("are copied, with their metadata or with others", async () => {
    await put("from", bytes(100_000), { headers: { "x-amz-meta-a": "1" } });
    const source = { "x-amz-copy-source": `/${bucket}/from` };
    const made = await s3.fetch("PUT", `/${bucket}/to`, { headers: source });
    expect(await made.text()).toContain("<CopyObjectResult");
    const to = await s3.fetch("GET", `/${bucket}/to`);
    expect(to.headers.get("x-amz-meta-a")).toBe("1");
    expect(new Uint8Array(await to.arrayBuffer())).toEqual(bytes(100_000));
    const replaced = { ...source, "x-amz-metadata-directive": "REPLACE", "x-amz-meta-b": "2" };
    await s3.fetch("PUT", `/${bucket}/to`, { headers: replaced });
    const head = await s3.fetch("HEAD", `/${bucket}/to`);
    expect([head.headers.get("x-amz-meta-a"), head.headers.get("x-amz-meta-b")]).toEqual([
      null,
      "2",
    ]);
  });

  it("are deleted, one and many", async () => {
    for (const key of ["a", "b&c", "d"]) await put(encodeURIComponent(key), key);
    expect((await s3.fetch("DELETE", `/${bucket}/d`)).status).toBe(204);
    const body = `<Delete><Object><Key>a</Key></Object><Object><Key>b&amp;c</Key></Object><Object><Key>none</Key></Object></Delete>`;
    const payloadHash = (await hash(body)).toHex();
    const deleted = await s3.fetch("POST", `/${bucket}?delete`, { body, payloadHash });
    expect(all(await deleted.text(), "Key")).toEqual(["a", "b&amp;c", "none"]);
    expect(all(await (await s3.fetch("GET", `/${bucket}`)).text(), "Key")).toEqual([]);
  });

  it("are listed by both versions, page after page", async () => {
    for (const key of ["a", "b/1", "b/2", "c", "d"]) await put(key, key);
    const list = async (query: string) => (await s3.fetch("GET", `/${bucket}?${query}`)).text();
    const first = await list("list-type=2&max-keys=2&delimiter=%2F");
    expect([all(first, "Key"), all(first, "IsTruncated")]).toEqual([["a"], ["true"]]);
    expect(first).toContain("<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>");
    const [token = ""] = all(first, "NextContinuationToken");
    const second = await list(
      `list-type=2&max-keys=2&delimiter=%2F&continuation-token=${encodeURIComponent(token)}`,
    );
    expect([all(second, "Key"), all(second, "IsTruncated")]).toEqual([["c", "d"], ["false"]]);
    const old = await list("max-keys=2&delimiter=%2F");
    expect([all(old, "Key"), all(old, "NextMarker")]).toEqual([["a"], ["b/"]]);
    expect(all(await list("max-keys=2&delimiter=%2F&marker=b%2F"), "Key")).toEqual(["c", "d"]);
    expect(all(await list("list-type=2&start-after=b%2F1&prefix=b"), "Key")).toEqual(["b/2"]);
  });
});

describe("multipart uploads", () => {
  it("are completed, listed and aborted", async () => {
    const at = `/${bucket}/big`;
    const [id = ""] = all(await (await s3.fetch("POST", `${at}?uploads`)).text(), "UploadId");
    const part = (number: number, body: Uint8Array<ArrayBuffer>) =>
      s3.fetch("PUT", `${at}?partNumber=${number}&uploadId=${id}`, { body });
    const sizes = [5 * MIB, 5 * MIB, 1000];
    const etags: string[] = [];
    for (const [index, size] of sizes.entries()) {
      etags.push((await part(index + 1, bytes(size))).headers.get("etag") ?? "");
    }
    const uploads = await (await s3.fetch("GET", `/${bucket}?uploads`)).text();
    expect(all(uploads, "UploadId")).toEqual([id]);
    const parts = await (await s3.fetch("GET", `${at}?uploadId=${id}&max-parts=2`)).text();
    expect([all(parts, "Size"), all(parts, "IsTruncated")]).toEqual([
      [String(5 * MIB), String(5 * MIB)],
      ["true"],
    ]);
    const listOf = (numbers: number[]) =>
      `<CompleteMultipartUpload>${numbers
        .map((n) => `<Part><PartNumber>${n}</PartNumber><ETag>${etags[n - 1]}</ETag></Part>`)
        .join("")}</CompleteMultipartUpload>`;
    const finish = (body: string) => s3.fetch("POST", `${at}?uploadId=${id}`, { body });
    expect(await code(finish(listOf([2, 1])))).toEqual([400, "InvalidPartOrder"]);
    const done = await (await finish(listOf([1, 2, 3]))).text();
    expect(all(done, "ETag")[0]).toMatch(/-3&quot;$/);
    const object = await s3.fetch("GET", at);
    const whole = new Uint8Array(await object.arrayBuffer());
    expect(whole.byteLength).toBe(10 * MIB + 1000);
    expect(await hash(whole.slice(5 * MIB, 10 * MIB))).toEqual(await hash(bytes(5 * MIB)));
    expect(await code(finish(listOf([1])))).toEqual([404, "NoSuchUpload"]);

    const [other = ""] = all(await (await s3.fetch("POST", `${at}?uploads`)).text(), "UploadId");
    expect((await s3.fetch("DELETE", `${at}?uploadId=${other}`)).status).toBe(204);
    expect(await code(s3.fetch("DELETE", `${at}?uploadId=unknown`))).toEqual([404, "NoSuchUpload"]);
  }, 60_000);

  it("take a part of another object", async () => {
    await put("source", bytes(100_000));
    const at = `/${bucket}/copied`;
    const [id = ""] = all(await (await s3.fetch("POST", `${at}?uploads`)).text(), "UploadId");
    const headers = {
      "x-amz-copy-source": `${bucket}/source`,
      "x-amz-copy-source-range": "bytes=1000-1999",
    };
    const made = await s3.fetch("PUT", `${at}?partNumber=1&uploadId=${id}`, { headers });
    const [etag = ""] = all(await made.text(), "ETag");
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`;
    await s3.fetch("POST", `${at}?uploadId=${id}`, { body });
    const object = await s3.fetch("GET", at);
    expect(new Uint8Array(await object.arrayBuffer())).toEqual(bytes(2000).slice(1000));
  });
});

describe("what is sent is what is stored:", () => {
  it("a hash of the body", async () => {
    const body = bytes(50_000);
    const payloadHash = (await hash(body)).toHex();
    expect((await put("a", body, { payloadHash })).status).toBe(200);
    const wrong = { payloadHash: "00".repeat(32) };
    expect(await code(put("b", body, wrong))).toEqual([400, "BadDigest"]);
    expect((await s3.fetch("HEAD", `/${bucket}/b`)).status).toBe(404);
  });

  it("MD5 and other checksums in headers", async () => {
    const md5 = (await hash("hello", "MD5")).toBase64();
    expect((await put("a", "hello", { headers: { "content-md5": md5 } })).status).toBe(200);
    expect(await code(put("a", "hallo", { headers: { "content-md5": md5 } }))).toEqual([
      400,
      "BadDigest",
    ]);
    const crc32 = { "x-amz-checksum-crc32": "NhCmhg==" };
    expect((await put("a", "hello", { headers: crc32 })).status).toBe(200);
    expect(await code(put("a", "hallo", { headers: crc32 }))).toEqual([400, "BadDigest"]);
    // What was there is there still.
    expect(await (await s3.fetch("GET", `/${bucket}/a`)).text()).toBe("hello");
    for (const length of [0, 1, 40_000, 300_000]) {
      const wrong = { headers: { "x-amz-checksum-crc32": "MTIzNA==" } };
      expect(await code(put("b", "x".repeat(length), wrong))).toEqual([400, "BadDigest"]);
      expect((await s3.fetch("HEAD", `/${bucket}/b`)).status).toBe(404);
    }
    const ofNothing = { headers: { "x-amz-checksum-crc32": "AAAAAA==" } };
    expect((await put("nothing", "", ofNothing)).status).toBe(200);
    const sha1 = { "x-amz-checksum-sha1": (await hash("hello", "SHA-1")).toBase64() };
    expect((await put("a", "hello", { headers: sha1 })).status).toBe(200);
    expect(await code(put("a", "hallo", { headers: sha1 }))).toEqual([400, "BadDigest"]);
  });

  const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

  /** As clients stream: signed pieces. `spoil`: one byte of the second piece. */
  async function streamed(body: Uint8Array<ArrayBuffer>, size: number, spoil = false) {
    const path = `/${bucket}/streamed`;
    const init = {
      payloadHash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      headers: { "x-amz-decoded-content-length": String(body.byteLength) },
    };
    const { headers, key, scope, at, signature: seed } = await s3.sign("PUT", path, init);
    let previous = seed;
    const chunks: (string | Uint8Array<ArrayBuffer>)[] = [];
    for (let from = 0; ; from += size) {
      const piece = body.slice(from, from + size);
      const text = [
        "AWS4-HMAC-SHA256-PAYLOAD",
        at,
        scopeText(scope),
        previous,
        EMPTY,
        (await hash(piece)).toHex(),
      ].join("\n");
      previous = await signature(key, text);
      if (spoil && from === size) piece[0]! ^= 1;
      chunks.push(
        `${piece.byteLength.toString(16)};chunk-signature=${previous}\r\n`,
        piece,
        "\r\n",
      );
      if (piece.byteLength === 0) break;
    }
    return send(`http://api${path}`, { method: "PUT", headers, body: new Blob(chunks) });
  }

  it("signed pieces", async () => {
    const body = bytes(200_000);
    expect((await streamed(body, 65_536)).status).toBe(200);
    const object = await s3.fetch("GET", `/${bucket}/streamed`);
    expect(new Uint8Array(await object.arrayBuffer())).toEqual(body);
    expect(await code(streamed(body, 65_536, true))).toEqual([403, "SignatureDoesNotMatch"]);
    expect(await code(streamed(bytes(100), 50, true))).toEqual([403, "SignatureDoesNotMatch"]);
    const kept = await s3.fetch("GET", `/${bucket}/streamed`);
    expect((await kept.arrayBuffer()).byteLength).toBe(200_000);
  });

  it("unsigned pieces with a checksum at their end", async () => {
    const send = (checksum: string, body = "5\r\nhello\r\n") =>
      put("trailed", `${body}0\r\nx-amz-checksum-crc32:${checksum}\r\n\r\n`, {
        payloadHash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        headers: {
          "content-encoding": "aws-chunked",
          "x-amz-decoded-content-length": "5",
          "x-amz-trailer": "x-amz-checksum-crc32",
        },
      });
    expect((await send("NhCmhg==")).status).toBe(200);
    const object = await s3.fetch("GET", `/${bucket}/trailed`);
    expect([await object.text(), object.headers.get("content-encoding")]).toEqual(["hello", null]);
    expect(await code(send("AAAAAA=="))).toEqual([400, "BadDigest"]);
    expect(await code(send("NhCmhg==", "6\r\nhello\r\n"))).toEqual([400, expect.anything()]);
    const more = "5\r\nhello\r\n5\r\nhello\r\n";
    expect(await code(send("AAAAAA==", more))).toEqual([400, "InvalidRequest"]);
    const kept = await s3.fetch("GET", `/${bucket}/trailed`);
    expect([await kept.text(), kept.headers.get("last-modified")]).toEqual([
      "hello",
      object.headers.get("last-modified"),
    ]);
  });
});

it("a body whose length is no number of bytes is refused", async () => {
  for (const length of ["-5", "1.5", "5 bytes"]) {
    const answer = put("lengthy", "5\r\nhello\r\n0\r\n\r\n", {
      payloadHash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
      headers: { "x-amz-decoded-content-length": length },
    });
    expect([length, await code(answer)]).toEqual([length, [400, "InvalidArgument"]]);
  }
});

describe("presigned URLs", () => {
  it("carry an upload and a download", async () => {
    const upload = await s3.presign("PUT", `/${bucket}/pre%20signed`);
    expect((await send(upload, { method: "PUT", body: "by URL" })).status).toBe(200);
    const download = await s3.presign("GET", `/${bucket}/pre%20signed`);
    expect(await (await send(download)).text()).toBe("by URL");
    expect(await code(send(download, { method: "DELETE" }))).toEqual([
      403,
      "SignatureDoesNotMatch",
    ]);
    // An upload must not become a copy of whatever else the token may read.
    const headers = { "x-amz-copy-source": `/${bucket}/pre%20signed` };
    expect(await code(send(upload, { method: "PUT", headers }))).toEqual([403, "AccessDenied"]);
    const other = download.replace("pre%20signed", "other");
    expect(await code(send(other))).toEqual([403, "SignatureDoesNotMatch"]);
  });

  it("end", async () => {
    const url = await s3.presign("GET", `/${bucket}/a`, 60, new Date(Date.now() - 61_000));
    // Nor does it help to send the same signature as a header.
    const { searchParams: given } = new URL(url);
    const get = (name: string) => given.get(`X-Amz-${name}`) ?? "";
    const headers = {
      authorization: `AWS4-HMAC-SHA256 Credential=${get("Credential")}, SignedHeaders=host, Signature=${get("Signature")}`,
      "x-amz-date": get("Date"),
      "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    };
    expect(await code(send(url.replace(/&X-Amz-Signature=.*/, ""), { headers }))).toEqual([
      400,
      "AuthorizationQueryParametersError",
    ]);
    expect(await code(send(url))).toEqual([403, "AccessDenied"]);
  });

  it("work in browsers, where the bucket's rules allow it", async () => {
    const allowed = { origins: ["https://*.example"], methods: ["PUT"], headers: ["content-*"] };
    const rules = [{ allowed, exposeHeaders: ["ETag"], maxAgeSeconds: 60 }];
    await call("PUT", `/accounts/${ACCOUNT}/r2/buckets/${bucket}/cors`, { rules });
    const url = await s3.presign("PUT", `/${bucket}/from-browser`);
    const ask = (origin: string, headers: string) =>
      send(url, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "PUT",
          "access-control-request-headers": headers,
        },
      });
    const preflight = await ask("https://app.example", "content-type");
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      "access-control-allow-origin": "https://app.example",
      "access-control-allow-methods": "PUT",
      "access-control-max-age": "60",
    });
    expect(await code(ask("https://evil.test", "content-type"))).toEqual([403, "AccessDenied"]);
    expect(await code(ask("https://app.example", "x-other"))).toEqual([403, "AccessDenied"]);
    const headers = { origin: "https://app.example" };
    const made = await send(url, { method: "PUT", body: "x", headers });
    expect(made.headers.get("access-control-expose-headers")).toBe("ETag");
  });
});

describe("whoever", () => {
  it("has no token, or another one, is refused", async () => {
    const [accessKeyId, secretAccessKey] = ["unknown", "00".repeat(32)];
    const stranger = new S3Client({ accessKeyId, secretAccessKey });
    expect(await code(stranger.fetch("GET", "/"))).toEqual([403, "InvalidAccessKeyId"]);
    const token = await limitedToken(`for-${bucket}`, {});
    const mine = await clientOf(token);
    expect((await mine.fetch("GET", `/${bucket}`)).status).toBe(200);
    const at = new Date(Date.now() - 16 * 60_000);
    expect(await code(mine.fetch("GET", "/", { at }))).toEqual([403, "RequestTimeTooSkewed"]);
    const { headers } = await mine.sign("GET", `/${bucket}`, {});
    const wrong = { ...headers, authorization: `${headers.authorization.slice(0, -4)}0000` };
    expect(await code(send(`http://api/${bucket}`, { headers: wrong }))).toEqual([
      403,
      "SignatureDoesNotMatch",
    ]);
    const old = await limitedToken(`old-${bucket}`, { expiresOn: Date.now() - 1 });
    expect(await code((await clientOf(old)).fetch("GET", "/"))).toEqual([
      403,
      "InvalidAccessKeyId",
    ]);
  });

  it("sends a signature that is malformed is told which part of it", async () => {
    const { headers } = await s3.sign("GET", `/${bucket}`, {});
    const { authorization } = headers;
    const credential = /Credential=([^,]*)/.exec(authorization)?.[1] ?? "";
    const cases: [from: string | RegExp, to: string, message: RegExp][] = [
      [/SignedHeaders=[^,]*/, "SignedHeaders=host;b@d header", /SignedHeaders 'host;b@d header'/],
      [/SignedHeaders=[^,]*/, "SignedHeaders=host;;x-amz-date", /'' is no name of a header/],
      [/SignedHeaders=[^,]*/, "SignedHeaders=x-amz-date", /lack host/],
      [/SignedHeaders=[^,]*, /, "", /'SignedHeaders=' is missing/],
      [/, Signature=.*/, "", /'Signature=' is missing/],
      [/Credential=[^,]*, /, "", /'Credential=' is missing/],
      [/ .*/, "", /is missing/],
      [credential, `${credential}/more`, /Credential '.*more'/],
      [credential, credential.replace(/\/\d{8}/, "/2013"), /YYYYMMDD/],
      ["/s3/", "/iam/", /region&gt;\/s3\//],
    ];
    for (const [from, to, message] of cases) {
      const changed = { ...headers, authorization: authorization.replace(from, to) };
      const response = await send(`http://api/${bucket}`, { headers: changed });
      const text = await response.text();
      expect([to, response.status, all(text, "Code")]).toEqual([
        to,
        400,
        ["AuthorizationHeaderMalformed"],
      ]);
      expect(all(text, "Message")[0]).toMatch(message);
    }
    const url = await s3.presign("GET", `/${bucket}`);
    for (const [from, to] of [
      ["SignedHeaders=host", "SignedHeaders=host%3Bb%40d%20header"],
      ["SignedHeaders=host", "SignedHeaders="],
      ["Algorithm=AWS4-HMAC-SHA256", "Algorithm=AWS3"],
      ["Expires=60", "Expires=soon"],
      ["aws4_request", "aws3_request"],
    ] as const) {
      expect([to, await code(send(url.replace(from, to)))]).toEqual([
        to,
        [400, "AuthorizationQueryParametersError"],
      ]);
    }
  });

  it("may not read contents may not here either", async () => {
    const token = await limitedToken(`reads-${bucket}`, { permissions: ["read"] });
    const mine = await clientOf(token);
    expect((await mine.fetch("GET", "/")).status).toBe(200);
    expect(await code(mine.fetch("GET", `/${bucket}/a`))).toEqual([403, "AccessDenied"]);
    expect(await code(mine.fetch("PUT", `/x${bucket}`))).toEqual([403, "AccessDenied"]);
    expect(await code(mine.fetch("DELETE", `/${bucket}`))).toEqual([403, "AccessDenied"]);
  });

  it("is of one namespace sees the buckets of that alone", async () => {
    const token = await limitedToken(`namespaced-${bucket}`, { namespaces: ["production"] });
    const mine = await clientOf(token);
    expect(await code(mine.fetch("GET", `/${bucket}/a`))).toEqual([404, "NoSuchBucket"]);
    const headers = { "x-amz-copy-source": `/${bucket}/a` };
    const own = `own-${bucket.slice(-20)}`;
    expect((await mine.fetch("PUT", `/${own}`)).status).toBe(200);
    expect(await code(mine.fetch("PUT", `/${own}/a`, { headers }))).toEqual([404, "NoSuchBucket"]);
    expect(all(await (await mine.fetch("GET", "/")).text(), "Name")).toContain(own);
  });
});
