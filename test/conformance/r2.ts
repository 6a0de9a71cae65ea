/** R2: every method, option, limit and error of the binding. */
import { outcome, type Cases, type ConformanceEnv } from "./cases.ts";

type Bucket = R2Bucket;
const MIB = 2 ** 20;

/** What is the same wherever it is stored: no versions, no times, and no storage class, which Miniflare lacks. */
function shown(object: R2Object | R2ObjectBody | null) {
  if (object === null) return null;
  const { key, size, etag, httpEtag, checksums, httpMetadata, customMetadata, range } = object;
  return {
    key,
    size,
    etag,
    httpEtag,
    checksums: checksums.toJSON(),
    httpMetadata,
    customMetadata,
    range,
    hasBody: "body" in object,
    version: typeof object.version,
    isRecent: Math.abs(Date.now() - object.uploaded.getTime()) < 60_000,
  };
}

async function text(object: R2Object | R2ObjectBody | null): Promise<unknown> {
  if (object === null) return null;
  return "text" in object ? object.text() : "no body";
}

function bytes(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(length);
  for (let index = 0; index < length; index++) all[index] = (index * 31 + seed) & 255;
  return all;
}

/** Runs with one object, `key`, of ten characters. */
function withTen(run: (bucket: Bucket, etag: string) => unknown) {
  return async ({ BUCKET }: ConformanceEnv) => {
    const { etag } = (await BUCKET.put("ten", "0123456789")) as R2Object;
    return run(BUCKET, etag);
  };
}

function ranged(range: R2Range | Headers) {
  return withTen((bucket) =>
    outcome(async () => {
      const object = await bucket.get("ten", { range });
      return { object: shown(object), text: await text(object) };
    }),
  );
}

// Not at the top level, where some runtimes have no clock.
const past = () => new Date(Date.now() - 3_600_000);
const future = () => new Date(Date.now() + 3_600_000);

function conditional(onlyIf: (etag: string) => R2Conditional | Headers) {
  return withTen((bucket, etag) =>
    outcome(async () => {
      const object = await bucket.get("ten", { onlyIf: onlyIf(etag) });
      return { object: shown(object), text: await text(object) };
    }),
  );
}

function conditionalPut(onlyIf: (etag: string) => R2Conditional | Headers, key = "ten") {
  return withTen((bucket, etag) =>
    outcome(async () => {
      const object = await bucket.put(key, "changed", { onlyIf: onlyIf(etag) });
      return { object: shown(object), now: await text(await bucket.get("ten")) };
    }),
  );
}

const HASHES = {
  md5: ["MD5", 16],
  sha1: ["SHA-1", 20],
  sha256: ["SHA-256", 32],
  sha384: ["SHA-384", 48],
  sha512: ["SHA-512", 64],
} as const;

function hashCases(): Cases {
  return Object.fromEntries(
    (Object.keys(HASHES) as (keyof typeof HASHES)[]).flatMap((field) => {
      const [name, length] = HASHES[field];
      const put = (hash: unknown) => async (BUCKET: Bucket) =>
        outcome(async () =>
          shown(await BUCKET.put("hashed", "hello", { [field]: hash as string })),
        );
      return [
        [
          `put with a ${field} that agrees`,
          async ({ BUCKET }: ConformanceEnv) => {
            const hash = await crypto.subtle.digest(name, new TextEncoder().encode("hello"));
            const made = await put(hash)(BUCKET);
            return [made, shown(await BUCKET.head("hashed"))];
          },
        ],
        [
          `put with a ${field} that does not agree`,
          ({ BUCKET }: ConformanceEnv) => put("00".repeat(length))(BUCKET),
        ],
        [
          `put with a ${field} in hex`,
          async ({ BUCKET }: ConformanceEnv) => {
            const hash = await crypto.subtle.digest(name, new TextEncoder().encode("hello"));
            const hex = [...new Uint8Array(hash)].map((one) => one.toString(16).padStart(2, "0"));
            return put(hex.join("").toUpperCase())(BUCKET);
          },
        ],
        [
          `put with a ${field} of the wrong length`,
          ({ BUCKET }: ConformanceEnv) => put(new Uint8Array(3))(BUCKET),
        ],
        [
          `put with a ${field} of the wrong length in hex`,
          ({ BUCKET }: ConformanceEnv) => put("abc")(BUCKET),
        ],
        [
          `put with a ${field} that is no hex`,
          ({ BUCKET }: ConformanceEnv) => put("zz".repeat(length))(BUCKET),
        ],
      ];
    }),
  );
}

async function filled(bucket: Bucket): Promise<void> {
  const keys = ["a", "b/1", "b/2", "b/c/3", "d", "é", "b0", "z/9", "\u{1F600}", "\uFF5E"];
  for (const key of keys) {
    await bucket.put(`list/${key}`, key, {
      httpMetadata: { contentType: "text/x" },
      customMetadata: { of: key },
    });
  }
}

function listed(options: R2ListOptions) {
  return async ({ BUCKET }: ConformanceEnv) => {
    await filled(BUCKET);
    return outcome(async () => page(await BUCKET.list(options)));
  };
}

function page(result: R2Objects) {
  return {
    keys: result.objects.map(({ key }) => key),
    metadata: result.objects.map(({ httpMetadata, customMetadata }) => [
      httpMetadata,
      customMetadata,
    ]),
    prefixes: result.delimitedPrefixes,
    truncated: result.truncated,
    cursor: "cursor" in result && typeof result.cursor,
  };
}

async function walked(bucket: Bucket, options: R2ListOptions): Promise<unknown> {
  const pages: unknown[] = [];
  let cursor: string | undefined;
  do {
    const result: R2Objects = await bucket.list({ ...options, ...(cursor && { cursor }) });
    pages.push([result.objects.map(({ key }) => key), result.delimitedPrefixes]);
    cursor = result.truncated ? result.cursor : undefined;
  } while (cursor !== undefined);
  return pages;
}

async function uploaded(
  bucket: Bucket,
  sizes: readonly number[],
  finish: (upload: R2MultipartUpload, parts: R2UploadedPart[]) => Promise<unknown>,
): Promise<unknown> {
  const upload = await bucket.createMultipartUpload("multi", {
    httpMetadata: { contentType: "text/parts" },
    customMetadata: { some: "thing" },
  });
  const parts: R2UploadedPart[] = [];
  for (const [index, size] of sizes.entries()) {
    parts.push(await upload.uploadPart(index + 1, bytes(size, index)));
  }
  const result = await outcome(() => finish(upload, parts));
  const object = await bucket.get("multi");
  const content = object && (await object.arrayBuffer());
  return { result, object: shown(object), content };
}

const complete = async (upload: R2MultipartUpload, parts: R2UploadedPart[]) =>
  shown(await upload.complete(parts));

export const r2Cases: Cases = {
  "head of nothing": ({ BUCKET }) => BUCKET.head("absent"),
  "get of nothing": ({ BUCKET }) => BUCKET.get("absent"),
  "get of nothing, with a condition": ({ BUCKET }) =>
    BUCKET.get("absent", { onlyIf: { etagMatches: "x" } }),
  "delete of nothing": ({ BUCKET }) => BUCKET.delete("absent"),
  "list of nothing": async ({ BUCKET }) => page(await BUCKET.list()),

  "put and get of text": async ({ BUCKET }) => {
    const made = await BUCKET.put("text", "grüße");
    const object = await BUCKET.get("text");
    return [shown(made), shown(object), await text(object)];
  },
  "put of an ArrayBuffer": async ({ BUCKET }) => {
    await BUCKET.put("bytes", bytes(300).buffer);
    return (await BUCKET.get("bytes"))?.arrayBuffer();
  },
  "put of a view of a part": async ({ BUCKET }) => {
    await BUCKET.put("view", bytes(100).subarray(10, 20));
    return (await BUCKET.get("view"))?.bytes();
  },
  "put of a DataView": async ({ BUCKET }) => {
    await BUCKET.put("view", new DataView(bytes(100).buffer, 4, 8));
    return (await BUCKET.get("view"))?.bytes();
  },
  "put of a Blob": async ({ BUCKET }) => {
    await BUCKET.put("blob", new Blob(["of ", "parts"], { type: "text/plain" }));
    const object = await BUCKET.get("blob");
    return [shown(object), await text(object)];
  },
  "put of null": async ({ BUCKET }) => {
    await BUCKET.put("empty", null);
    const object = await BUCKET.get("empty");
    return [shown(object), await text(object)];
  },
  "put of an empty string": async ({ BUCKET }) => {
    await BUCKET.put("empty", "");
    return text(await BUCKET.get("empty"));
  },
  "put of a response's body": async ({ BUCKET }) => {
    await BUCKET.put("stream", new Response("from a response").body);
    return text(await BUCKET.get("stream"));
  },
  "put of a FixedLengthStream": async ({ BUCKET }) => {
    const { readable, writable } = new FixedLengthStream(5);
    const writer = writable.getWriter();
    const written = writer.write(new TextEncoder().encode("fixed")).then(() => writer.close());
    const [made] = await Promise.all([BUCKET.put("stream", readable), written]);
    return [shown(made), await text(await BUCKET.get("stream"))];
  },
  "put of a stream of unknown length": ({ BUCKET }) =>
    outcome(async () => {
      const stream = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode("how long?"));
          controller.close();
        },
      });
      return shown(await BUCKET.put("stream", stream));
    }),
  "put of what another object brings": async ({ BUCKET }) => {
    await BUCKET.put("first", bytes(100_000));
    const first = await BUCKET.get("first");
    await BUCKET.put("second", first?.body ?? null);
    return (await BUCKET.get("second"))?.arrayBuffer();
  },
  "put of a range of another object": async ({ BUCKET }) => {
    await BUCKET.put("first", bytes(100_000));
    const first = await BUCKET.get("first", { range: { offset: 10, length: 50_000 } });
    await BUCKET.put("second", first?.body ?? null);
    return (await BUCKET.get("second"))?.arrayBuffer();
  },
  "put of a number": ({ BUCKET }) => outcome(() => BUCKET.put("number", 7 as unknown as string)),
  "put of an object": ({ BUCKET }) => outcome(() => BUCKET.put("object", {} as unknown as string)),
  "a large object": async ({ BUCKET }) => {
    const made = await BUCKET.put("large", bytes(3 * MIB));
    const object = await BUCKET.get("large");
    return [shown(made), await object?.arrayBuffer()];
  },
  "a range in a large object": async ({ BUCKET }) => {
    await BUCKET.put("large", bytes(3 * MIB));
    const object = await BUCKET.get("large", { range: { offset: 2 * MIB - 3, length: 10 } });
    return [shown(object), await object?.bytes()];
  },
  "a large object's end": async ({ BUCKET }) => {
    await BUCKET.put("large", bytes(3 * MIB));
    return (await BUCKET.get("large", { range: { suffix: 20 } }))?.bytes();
  },
  "an object is replaced": async ({ BUCKET }) => {
    await BUCKET.put("replaced", "one", { customMetadata: { a: "1" } });
    await BUCKET.put("replaced", "another");
    const object = await BUCKET.get("replaced");
    return [shown(object), await text(object)];
  },
  "a large object is replaced by a small one": async ({ BUCKET }) => {
    await BUCKET.put("replaced", bytes(MIB));
    await BUCKET.put("replaced", "small");
    return text(await BUCKET.get("replaced"));
  },

  "json()": async ({ BUCKET }) => {
    await BUCKET.put("json", `{"a":[1,null]}`);
    return (await BUCKET.get("json"))?.json();
  },
  "json() of no JSON": async ({ BUCKET }) => {
    await BUCKET.put("json", `{"a":`);
    return outcome(async () => (await BUCKET.get("json"))?.json());
  },
  "blob() with its type": async ({ BUCKET }) => {
    await BUCKET.put("blob", "typed", { httpMetadata: { contentType: "text/html" } });
    return (await BUCKET.get("blob"))?.blob();
  },
  "blob() without a type": async ({ BUCKET }) => {
    await BUCKET.put("blob", "typeless");
    return (await BUCKET.get("blob"))?.blob();
  },
  "body as a stream": withTen(async (bucket) => (await bucket.get("ten"))?.body),
  "body in a response": withTen(async (bucket) => {
    const response = new Response((await bucket.get("ten"))?.body);
    return [response.status, await response.text()];
  }),
  "bodyUsed before and after": withTen(async (bucket) => {
    const object = await bucket.get("ten");
    const before = object?.bodyUsed;
    await object?.text();
    return [before, object?.bodyUsed];
  }),
  "text() twice": withTen(async (bucket) => {
    const object = await bucket.get("ten");
    await object?.text();
    return outcome(() => object?.text());
  }),
  "arrayBuffer() after the body was read": withTen(async (bucket) => {
    const object = await bucket.get("ten");
    await object?.body.cancel();
    return outcome(() => object?.arrayBuffer());
  }),

  "all HTTP metadata": async ({ BUCKET }) => {
    const httpMetadata = {
      contentType: "text/html; charset=utf-8",
      contentLanguage: "de",
      contentDisposition: "attachment",
      contentEncoding: "identity",
      cacheControl: "max-age=60",
      cacheExpiry: new Date(1_800_000_000_000),
    };
    const made = await BUCKET.put("http", "x", { httpMetadata });
    const head = await BUCKET.head("http");
    const headers = new Headers({ "x-other": "stays" });
    head?.writeHttpMetadata(headers);
    return [shown(made), shown(head), headers];
  },
  "HTTP metadata from headers": async ({ BUCKET }) => {
    const httpMetadata = new Headers({
      "Content-Type": "image/png",
      "Content-Language": "fr",
      "Content-Disposition": "inline",
      "Content-Encoding": "gzip",
      "Cache-Control": "no-store",
      Expires: "Fri, 15 Jan 2027 08:00:00 GMT",
      "X-Other": "1",
    });
    const made = await BUCKET.put("http", "x", { httpMetadata });
    return [shown(made), shown(await BUCKET.head("http"))];
  },
  "writeHttpMetadata without any": withTen(async (bucket) => {
    const headers = new Headers();
    (await bucket.head("ten"))?.writeHttpMetadata(headers);
    return headers;
  }),
  "custom metadata": async ({ BUCKET }) => {
    const customMetadata = { one: "1", "with space": "ünïcode ✓", empty: "" };
    const made = await BUCKET.put("custom", "x", { customMetadata });
    return [shown(made), shown(await BUCKET.head("custom")), shown(await BUCKET.get("custom"))];
  },
  "custom metadata of other types": async ({ BUCKET }) => {
    const customMetadata = { number: 7, flag: true } as unknown as Record<string, string>;
    return shown(await BUCKET.put("custom", "x", { customMetadata }));
  },
  "as much custom metadata as there may be": ({ BUCKET }) =>
    outcome(async () => {
      const object = await BUCKET.put("custom", "x", { customMetadata: { k: "x".repeat(8191) } });
      return object.customMetadata?.["k"]?.length;
    }),
  "more custom metadata than there may be": ({ BUCKET }) =>
    outcome(() => BUCKET.put("custom", "x", { customMetadata: { k: "x".repeat(8192) } })),
  "wide custom metadata counts twice": ({ BUCKET }) =>
    outcome(() => BUCKET.put("custom", "x", { customMetadata: { k: "✓".repeat(4096) } })),
  "checksums as buffers": withTen(async (bucket) => {
    const { checksums } = (await bucket.head("ten")) as R2Object;
    return [checksums.md5, checksums.sha1, checksums.sha512];
  }),
  "two hashes at once": ({ BUCKET }) =>
    outcome(() => BUCKET.put("x", "x", { md5: "00".repeat(16), sha1: "00".repeat(20) })),
  ...hashCases(),
  "a checksum of a large object": async ({ BUCKET }) => {
    const sha256 = await crypto.subtle.digest("SHA-256", bytes(MIB));
    return shown(await BUCKET.put("large", bytes(MIB), { sha256 }));
  },
  "a wrong checksum leaves what was there": async ({ BUCKET }) => {
    await BUCKET.put("kept", "first");
    const refused = await outcome(() => BUCKET.put("kept", bytes(MIB), { sha1: "00".repeat(20) }));
    return [refused, await text(await BUCKET.get("kept"))];
  },

  "the longest key": async ({ BUCKET }) => shown(await BUCKET.put("k".repeat(1024), "x")),
  "a key that is too long": ({ BUCKET }) => outcome(() => BUCKET.put("k".repeat(1025), "x")),
  "a key that is too long in UTF-8": ({ BUCKET }) =>
    outcome(() => BUCKET.put("é".repeat(513), "x")),
  "get of a key that is too long": ({ BUCKET }) => outcome(() => BUCKET.get("k".repeat(1025))),
  "head of a key that is too long": ({ BUCKET }) => outcome(() => BUCKET.head("k".repeat(1025))),
  "delete of a key that is too long": ({ BUCKET }) =>
    outcome(() => BUCKET.delete("k".repeat(1025))),
  "keys of all kinds": async ({ BUCKET }) => {
    const keys = ["a b", "a/b//c", "ü/✓", "?q=1&x#y", "..", "%2F", "\u{1F600}", `"quoted"\\`];
    for (const key of keys) await BUCKET.put(key, `of ${key}`);
    const found = await Promise.all(keys.map(async (key) => text(await BUCKET.get(key))));
    await BUCKET.delete(keys);
    return found;
  },
  "a key that is no string": async ({ BUCKET }) => {
    await BUCKET.put(7 as unknown as string, "seven");
    return text(await BUCKET.get("7"));
  },

  "range: offset": ranged({ offset: 3 }),
  "range: offset and length": ranged({ offset: 3, length: 4 }),
  "range: length": ranged({ length: 4 } as R2Range),
  "range: suffix": ranged({ suffix: 3 }),
  "range: suffix longer than the object": ranged({ suffix: 30 }),
  "range: length beyond the end": ranged({ offset: 8, length: 30 }),
  "range: all": ranged({ offset: 0 }),
  "range: empty": ranged({} as R2Range),
  "range: from the end": ranged({ offset: 10 }),
  "range: from beyond the end": ranged({ offset: 11 }),
  "range: no length": ranged({ offset: 0, length: 0 }),
  "range: no suffix": ranged({ suffix: 0 }),
  "range: negative offset": ranged({ offset: -1 }),
  "range: negative length": ranged({ offset: 0, length: -1 }),
  "range: negative suffix": ranged({ suffix: -2 }),
  "range: broken offset": ranged({ offset: 1.5 }),
  "range: broken length": ranged({ offset: 0, length: 1.5 }),
  "range: broken suffix": ranged({ suffix: 1.5 }),
  "range: suffix with offset": ranged({ suffix: 1, offset: 1 } as R2Range),
  "range: suffix with length": ranged({ suffix: 1, length: 1 } as R2Range),
  "range: header": ranged(new Headers({ Range: "bytes=2-5" })),
  "range: header without an end": ranged(new Headers({ Range: "bytes=7-" })),
  "range: header with a suffix": ranged(new Headers({ Range: "bytes=-3" })),
  "range: header beyond the end": ranged(new Headers({ Range: "bytes=8-50" })),
  "range: header after the end": ranged(new Headers({ Range: "bytes=10-12" })),
  "range: header with several": ranged(new Headers({ Range: "bytes=0-1,3-4" })),
  "range: header of nonsense": ranged(new Headers({ Range: "lines=1-2" })),
  "range: headers without one": ranged(new Headers()),

  "onlyIf etagMatches: it does": conditional((etag) => ({ etagMatches: etag })),
  "onlyIf etagMatches: it does not": conditional(() => ({ etagMatches: "other" })),
  "onlyIf etagMatches: any": conditional(() => ({ etagMatches: "*" })),
  "onlyIf etagDoesNotMatch: it does": conditional((etag) => ({ etagDoesNotMatch: etag })),
  "onlyIf etagDoesNotMatch: it does not": conditional(() => ({ etagDoesNotMatch: "other" })),
  "onlyIf etagDoesNotMatch: any": conditional(() => ({ etagDoesNotMatch: "*" })),
  "onlyIf uploadedBefore: past()": conditional(() => ({ uploadedBefore: past() })),
  "onlyIf uploadedBefore: future()": conditional(() => ({ uploadedBefore: future() })),
  "onlyIf uploadedAfter: past()": conditional(() => ({ uploadedAfter: past() })),
  "onlyIf uploadedAfter: future()": conditional(() => ({ uploadedAfter: future() })),
  "onlyIf uploadedAfter with an ETag that differs": conditional(() => ({
    uploadedAfter: future(),
    etagDoesNotMatch: "other",
  })),
  "onlyIf uploadedBefore with an ETag that matches": conditional((etag) => ({
    uploadedBefore: past(),
    etagMatches: etag,
  })),
  "onlyIf with seconds": conditional(() => ({
    uploadedBefore: future(),
    secondsGranularity: true,
  })),
  "onlyIf: a quoted ETag": conditional((etag) => ({ etagMatches: `"${etag}"` })),
  "onlyIf: an ETag that is no string": conditional(
    () => ({ etagMatches: 7 }) as unknown as R2Conditional,
  ),
  "onlyIf: headers, If-Match": conditional((etag) => new Headers({ "If-Match": `"${etag}"` })),
  "onlyIf: headers, If-Match other": conditional(() => new Headers({ "If-Match": `"other"` })),
  "onlyIf: headers, weak If-Match": conditional(
    (etag) => new Headers({ "If-Match": `W/"${etag}"` }),
  ),
  "onlyIf: headers, If-Match of several": conditional(
    (etag) => new Headers({ "If-Match": `"a", W/"b", "${etag}"` }),
  ),
  "onlyIf: headers, If-None-Match": conditional(
    (etag) => new Headers({ "If-None-Match": `"${etag}"` }),
  ),
  "onlyIf: headers, weak If-None-Match": conditional(
    (etag) => new Headers({ "If-None-Match": `W/"${etag}"` }),
  ),
  "onlyIf: headers, If-None-Match *": conditional(() => new Headers({ "If-None-Match": "*" })),
  "onlyIf: headers, If-Modified-Since": conditional(
    () => new Headers({ "If-Modified-Since": past().toUTCString() }),
  ),
  "onlyIf: headers, If-Modified-Since later": conditional(
    () => new Headers({ "If-Modified-Since": future().toUTCString() }),
  ),
  "onlyIf: headers, If-Unmodified-Since": conditional(
    () => new Headers({ "If-Unmodified-Since": past().toUTCString() }),
  ),
  "onlyIf: headers, unquoted": conditional(() => new Headers({ "If-Match": "unquoted" })),
  "onlyIf: headers, unclosed": conditional(() => new Headers({ "If-Match": `"unclosed` })),
  "onlyIf: headers, no comma": conditional(() => new Headers({ "If-Match": `"a" "b"` })),
  "onlyIf: headers without any": conditional(() => new Headers()),

  "put onlyIf etagMatches: it does": conditionalPut((etag) => ({ etagMatches: etag })),
  "put onlyIf etagMatches: it does not": conditionalPut(() => ({ etagMatches: "other" })),
  "put onlyIf etagDoesNotMatch *": conditionalPut(() => ({ etagDoesNotMatch: "*" })),
  "put onlyIf headers": conditionalPut(() => new Headers({ "If-None-Match": "*" })),
  "put onlyIf etagMatches, of nothing": conditionalPut(() => ({ etagMatches: "x" }), "nothing"),
  "put onlyIf uploadedAfter, of nothing": conditionalPut(
    () => ({ uploadedAfter: past() }),
    "nothing",
  ),
  "put onlyIf nothing is there": async ({ BUCKET }) => {
    const onlyIf = { etagDoesNotMatch: "*" };
    const first = await BUCKET.put("once", bytes(50_000), { onlyIf });
    const second = await BUCKET.put("once", bytes(60_000), { onlyIf });
    return [shown(first), second, (await BUCKET.head("once"))?.size];
  },

  "delete of one": withTen(async (bucket) => [
    await bucket.delete("ten"),
    await bucket.head("ten"),
  ]),
  "delete of several": async ({ BUCKET }) => {
    await BUCKET.put("d1", "1");
    await BUCKET.put("d2", bytes(50_000));
    await BUCKET.put("d3", "3");
    await BUCKET.delete(["d1", "d2", "absent"]);
    return [await BUCKET.head("d1"), await BUCKET.head("d2"), shown(await BUCKET.head("d3"))];
  },
  "delete of none": ({ BUCKET }) => BUCKET.delete([]),

  "list: all with a prefix": listed({ prefix: "list/" }),
  "list: a prefix that nothing has": listed({ prefix: "nothing/" }),
  "list: what of a key is a prefix": listed({ prefix: "list/b" }),
  "list: with a delimiter": listed({ prefix: "list/", delimiter: "/" }),
  "list: with a delimiter, deeper": listed({ prefix: "list/b/", delimiter: "/" }),
  "list: with a delimiter, without a prefix": listed({ delimiter: "/", startAfter: "list" }),
  "list: with a long delimiter": listed({ prefix: "list/", delimiter: "/c/" }),
  "list: with an empty delimiter": listed({ prefix: "list/", delimiter: "" }),
  "list: after a key": listed({ prefix: "list/", startAfter: "list/b/2" }),
  "list: after what is no key": listed({ prefix: "list/", startAfter: "list/b/2x" }),
  "list: after a key in a group": listed({
    prefix: "list/",
    delimiter: "/",
    startAfter: "list/b/1",
  }),
  "list: with a limit": listed({ prefix: "list/", limit: 3 }),
  "list: with a limit that is the number": listed({ prefix: "list/", limit: 10 }),
  "list: with HTTP metadata": listed({ prefix: "list/a", include: ["httpMetadata"] }),
  "list: with custom metadata": listed({ prefix: "list/a", include: ["customMetadata"] }),
  "list: with all metadata": listed({
    prefix: "list/a",
    include: ["httpMetadata", "customMetadata"],
  }),
  "list: with what does not exist": listed({
    prefix: "list/a",
    include: ["checksums" as "httpMetadata"],
  }),
  "list: with no metadata": listed({ prefix: "list/a", include: [] }),
  "list: limit 0": listed({ limit: 0 }),
  "list: limit 1001": listed({ limit: 1001 }),
  "list: negative limit": listed({ limit: -1 }),
  "list: a prefix that is no string": listed({ prefix: 7 as unknown as string }),
  "list: page after page": async ({ BUCKET }) => {
    await filled(BUCKET);
    return walked(BUCKET, { prefix: "list/", limit: 3 });
  },
  "list: page after page, with a delimiter": async ({ BUCKET }) => {
    await filled(BUCKET);
    return walked(BUCKET, { prefix: "list/", limit: 2, delimiter: "/" });
  },
  "list: what is shown of an object": async ({ BUCKET }) => {
    await filled(BUCKET);
    const { objects } = await BUCKET.list({ prefix: "list/a" });
    return objects.map(shown);
  },

  "multipart: one part": ({ BUCKET }) => uploaded(BUCKET, [10], complete),
  "multipart: three parts": ({ BUCKET }) => uploaded(BUCKET, [5 * MIB, 5 * MIB, 1000], complete),
  "multipart: parts in another order": ({ BUCKET }) =>
    uploaded(BUCKET, [5 * MIB, 5 * MIB], (upload, parts) => complete(upload, parts.toReversed())),
  "multipart: only some parts": ({ BUCKET }) =>
    uploaded(BUCKET, [5 * MIB, 5 * MIB, 100], (upload, [first, , last]) =>
      complete(upload, [first, last] as R2UploadedPart[]),
    ),
  "multipart: a range across parts": async ({ BUCKET }) => {
    await uploaded(BUCKET, [5 * MIB, 5 * MIB, 1000], complete);
    const range = { offset: 5 * MIB - 5, length: 5 * MIB + 10 };
    const object = await BUCKET.get("multi", { range });
    return [shown(object), await object?.arrayBuffer()];
  },
  "multipart: the last bytes": async ({ BUCKET }) => {
    await uploaded(BUCKET, [5 * MIB, 1000], complete);
    return (await BUCKET.get("multi", { range: { suffix: 1010 } }))?.arrayBuffer();
  },
  "multipart: a part that is too small": ({ BUCKET }) => uploaded(BUCKET, [1000, 1000], complete),
  "multipart: uneven parts": ({ BUCKET }) =>
    uploaded(BUCKET, [6 * MIB, 5 * MIB, 5 * MIB], complete),
  "multipart: a last part that is larger": ({ BUCKET }) =>
    uploaded(BUCKET, [5 * MIB, 6 * MIB], complete),
  "multipart: a wrong ETag": ({ BUCKET }) =>
    uploaded(BUCKET, [10], (upload) => complete(upload, [{ partNumber: 1, etag: "wrong" }])),
  "multipart: a part that is not there": ({ BUCKET }) =>
    uploaded(BUCKET, [10], (upload, [part]) =>
      complete(upload, [{ partNumber: 2, etag: part?.etag ?? "" }]),
    ),
  "multipart: a part twice": ({ BUCKET }) =>
    uploaded(BUCKET, [10], (upload, [part]) => complete(upload, [part, part] as R2UploadedPart[])),
  "multipart: a part is replaced": ({ BUCKET }) =>
    uploaded(BUCKET, [10], async (upload) =>
      complete(upload, [await upload.uploadPart(1, "replaced")]),
    ),
  "multipart: completed twice": ({ BUCKET }) =>
    uploaded(BUCKET, [10], async (upload, parts) => {
      await upload.complete(parts);
      return upload.complete(parts);
    }),
  "multipart: a part after the end": ({ BUCKET }) =>
    uploaded(BUCKET, [10], async (upload, parts) => {
      await upload.complete(parts);
      return upload.uploadPart(2, "late");
    }),
  "multipart: aborted": ({ BUCKET }) =>
    uploaded(BUCKET, [10], async (upload) => [await upload.abort(), await upload.abort()]),
  "multipart: completed after the abort": ({ BUCKET }) =>
    uploaded(BUCKET, [10], async (upload, parts) => {
      await upload.abort();
      return upload.complete(parts);
    }),
  "multipart: aborted after the end": ({ BUCKET }) =>
    uploaded(BUCKET, [10], async (upload, parts) => {
      await upload.complete(parts);
      return upload.abort();
    }),
  "multipart: an upload that does not exist": async ({ BUCKET }) => {
    const upload = BUCKET.resumeMultipartUpload("multi", "unknown");
    return [
      await outcome(() => upload.uploadPart(1, "x")),
      await outcome(() => upload.complete([])),
      await outcome(() => upload.abort()),
    ];
  },
  "multipart: an upload of another key": async ({ BUCKET }) => {
    const { uploadId } = await BUCKET.createMultipartUpload("one");
    const upload = BUCKET.resumeMultipartUpload("other", uploadId);
    return outcome(() => upload.uploadPart(1, "x"));
  },
  "multipart: resumed": ({ BUCKET }) =>
    uploaded(BUCKET, [10], (upload, parts) => {
      const resumed = BUCKET.resumeMultipartUpload(upload.key, upload.uploadId);
      return complete(resumed, parts);
    }),
  "multipart: what an upload and a part show": async ({ BUCKET }) => {
    const upload = await BUCKET.createMultipartUpload("shown");
    const part = await upload.uploadPart(1, "x");
    await upload.abort();
    const { key, uploadId } = upload;
    return [key, typeof uploadId, Object.keys(part), part.partNumber, typeof part.etag];
  },
  "multipart: a part from a stream": ({ BUCKET }) =>
    uploaded(BUCKET, [], async (upload) =>
      complete(upload, [
        await upload.uploadPart(1, new Response("streamed").body as ReadableStream),
      ]),
    ),
  "multipart: part 0": ({ BUCKET }) => uploaded(BUCKET, [], (upload) => upload.uploadPart(0, "x")),
  "multipart: part 10001": ({ BUCKET }) =>
    uploaded(BUCKET, [], (upload) => upload.uploadPart(10_001, "x")),
  "multipart: part 10000": ({ BUCKET }) =>
    uploaded(BUCKET, [], async (upload) =>
      complete(upload, [await upload.uploadPart(10_000, "the last one")]),
    ),
  "multipart: completing with part 0": ({ BUCKET }) =>
    uploaded(BUCKET, [], (upload) => upload.complete([{ partNumber: 0, etag: "x" }])),
  "multipart: a key that is too long": ({ BUCKET }) =>
    outcome(() => BUCKET.createMultipartUpload("k".repeat(1025))),
  "multipart: too much metadata": ({ BUCKET }) =>
    outcome(() =>
      BUCKET.createMultipartUpload("multi", { customMetadata: { k: "x".repeat(9000) } }),
    ),
  "multipart: an unfinished one is not listed": async ({ BUCKET }) => {
    const upload = await BUCKET.createMultipartUpload("unfinished");
    await upload.uploadPart(1, "x");
    const { objects } = await BUCKET.list({ prefix: "unfinished" });
    await upload.abort();
    return [objects, await BUCKET.head("unfinished")];
  },
};
