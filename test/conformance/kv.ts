/** KV: every method, type, limit and error of the binding. */
import { outcome, type Cases } from "./cases.ts";

const MIB = 1024 * 1024;
const bytes = (...values: number[]) => new Uint8Array(values);
const all256 = Uint8Array.from({ length: 256 }, (_, index) => index);
const soon = () => Math.floor(Date.now() / 1000) + 3600;

/** Large values that do not compress into one another. */
function pattern(length: number): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(length);
  for (let index = 0; index < length; index++) content[index] = (index * 31 + (index >> 8)) & 255;
  return content;
}

function streamOf(...chunks: (string | Uint8Array)[]): ReadableStream {
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
      }
      controller.close();
    },
  });
}

/** The binding with any arguments, as code without types calls it. */
type Loose = Record<string, (...args: unknown[]) => Promise<unknown>>;
const loose = (KV: KVNamespace) => KV as unknown as Loose;

/** What a call does at once and what it does later. */
async function when(call: () => Promise<unknown>): Promise<unknown> {
  let promise;
  try {
    promise = call();
  } catch (error) {
    return { atOnce: error };
  }
  return outcome(() => promise);
}

/** Expirations are times, which differ between runs. */
function withoutTimes(list: { keys: { expiration?: number }[] }): unknown {
  const inAnHour = (time?: number) => time !== undefined && Math.abs(time - soon()) < 60;
  return {
    ...list,
    ...("cursor" in list && { cursor: typeof list.cursor }),
    keys: list.keys.map((key) => ({
      ...key,
      ...("expiration" in key && { expiration: inAnHour(key.expiration) }),
    })),
  };
}

async function put(KV: KVNamespace, ...keys: string[]): Promise<void> {
  for (const key of keys) await KV.put(key, `value of ${key}`);
}

async function pages(KV: KVNamespace, options: KVNamespaceListOptions): Promise<unknown> {
  const names: string[][] = [];
  let cursor: string | null = null;
  for (;;) {
    const page: KVNamespaceListResult<unknown> = await KV.list({ ...options, cursor });
    names.push(page.keys.map(({ name }) => name));
    if (page.list_complete) return names;
    ({ cursor } = page);
  }
}

const TYPES = ["text", "json", "arrayBuffer", "stream"] as const;

const gets: Cases = {
  "get: absent": ({ KV }) => KV.get("absent"),
  "get: absent, of each type": ({ KV }) =>
    Promise.all(TYPES.map((type) => KV.get("absent", type as "text"))),
  "get: text": async ({ KV }) => {
    await KV.put("get/text", "some text ✓ ünïcödé 🐝");
    return [
      await KV.get("get/text"),
      await KV.get("get/text", "text"),
      await KV.get("get/text", { type: "text" }),
      await KV.get("get/text", {}),
      await KV.get("get/text", undefined),
    ];
  },
  "get: json": async ({ KV }) => {
    await KV.put("get/json", '{"a":[1,2,{"b":null}],"c":"✓"}');
    return [await KV.get("get/json", "json"), await KV.get("get/json", { type: "json" })];
  },
  "get: json scalars": async ({ KV }) => {
    await KV.put("get/json-null", "null");
    await KV.put("get/json-number", "1.5e3");
    return [await KV.get("get/json-null", "json"), await KV.get("get/json-number", "json")];
  },
  "get: json that is none": async ({ KV }) => {
    await KV.put("get/json-bad", "{nope");
    return when(() => KV.get("get/json-bad", "json"));
  },
  "get: json that is empty": async ({ KV }) => {
    await KV.put("get/json-empty", "");
    return when(() => KV.get("get/json-empty", "json"));
  },
  "get: bytes": async ({ KV }) => {
    await KV.put("get/bytes", all256);
    return [
      await KV.get("get/bytes", "arrayBuffer"),
      await KV.get("get/bytes", { type: "arrayBuffer" }),
      await KV.get("get/bytes", "stream"),
      await KV.get("get/bytes", { type: "stream" }),
      await KV.get("get/bytes", "text"),
    ];
  },
  "get: a stream, piece by piece": async ({ KV }) => {
    await KV.put("get/stream", "first second third");
    const stream = await KV.get("get/stream", "stream");
    if (stream === null) return null;
    let text = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) text += chunk;
    return text;
  },
  "get: a stream that is cancelled": async ({ KV }) => {
    await KV.put("get/cancelled", pattern(100_000));
    const stream = await KV.get("get/cancelled", "stream");
    await stream?.cancel();
    return (await KV.get("get/cancelled", "arrayBuffer"))?.byteLength;
  },
  "get: a byte order mark": async ({ KV }) => {
    await KV.put("get/bom", bytes(0xef, 0xbb, 0xbf, 0x61));
    return [await KV.get("get/bom"), [...((await KV.get("get/bom")) ?? "")].length];
  },
  "get: bytes that are no UTF-8, as text": async ({ KV }) => {
    await KV.put("get/broken", bytes(0x61, 0xff, 0xc3, 0x62, 0xed, 0xa0, 0x80));
    return KV.get("get/broken");
  },
  "get: empty, of each type but json": async ({ KV }) => {
    await KV.put("get/empty", "");
    return [
      await KV.get("get/empty"),
      await KV.get("get/empty", "arrayBuffer"),
      await KV.get("get/empty", "stream"),
    ];
  },
  "get: a type that there is not": async ({ KV }) => {
    await KV.put("get/type", "text");
    return [
      await when(() => loose(KV)["get"]!("get/type", "blob")),
      await when(() => loose(KV)["get"]!("get/type", { type: "Text" })),
      await when(() => loose(KV)["get"]!("get/type", "")),
    ];
  },
  "get: a type that there is not, of a key that is not there": ({ KV }) =>
    when(() => loose(KV)["get"]!("absent", "blob")),
  "get: cacheTtl": async ({ KV }) => {
    await KV.put("get/ttl", "cached");
    return [
      await KV.get("get/ttl", { cacheTtl: 60 }),
      await KV.get("get/ttl", { cacheTtl: 30, type: "arrayBuffer" }),
      await KV.get("get/ttl", { cacheTtl: 86_400 }),
    ];
  },
  "get: cacheTtl that is too short": ({ KV }) => when(() => KV.get("get/ttl", { cacheTtl: 29 })),
  "get: cacheTtl of 0 and less": async ({ KV }) => [
    await when(() => KV.get("get/ttl", { cacheTtl: 0 })),
    await when(() => KV.get("get/ttl", { cacheTtl: -60 })),
    await when(() => KV.get("get/ttl", { cacheTtl: 59.9 })),
  ],
  "get: options that are null": ({ KV }) => when(() => loose(KV)["get"]!("get/ttl", null)),
};

const keys: Cases = {
  "key: empty": async ({ KV }) => [
    await when(() => KV.get("")),
    await when(() => KV.put("", "value")),
    await when(() => KV.delete("")),
    await when(() => KV.getWithMetadata("")),
  ],
  "key: a dot": async ({ KV }) => [
    await when(() => KV.get(".")),
    await when(() => KV.put(".", "value")),
    await when(() => KV.delete(".")),
    await when(() => KV.getWithMetadata(".")),
  ],
  "key: two dots": async ({ KV }) => [
    await when(() => KV.get("..")),
    await when(() => KV.put("..", "value")),
    await when(() => KV.delete("..")),
  ],
  "key: 512 bytes": async ({ KV }) => {
    const key = "k".repeat(512);
    await KV.put(key, "long");
    const got = await KV.get(key);
    await KV.delete(key);
    return got;
  },
  "key: 513 bytes": async ({ KV }) => {
    const key = "k".repeat(513);
    return [
      await when(() => KV.get(key)),
      await when(() => KV.put(key, "value")),
      await when(() => KV.delete(key)),
      await when(() => KV.getWithMetadata(key)),
    ];
  },
  "key: 512 bytes of two each": async ({ KV }) => {
    const key = "ü".repeat(256);
    await KV.put(key, "long");
    const got = await KV.get(key);
    await KV.delete(key);
    return [got, await when(() => KV.get(`${key}ü`))];
  },
  "key: odd characters": async ({ KV }) => {
    const odd = [
      "odd/a b",
      "odd/a+b",
      "odd/a%20b",
      "odd/%2F",
      "odd/a?b=c&d#e",
      "odd//",
      "odd/../up",
      "odd/./here",
      "odd/\\back",
      "odd/\ttab\nline",
      "odd/ünï",
      "odd/🐝",
      "odd/\u0000nul",
      "odd/'\"<>",
      "odd/:@;=,$",
      "odd/~",
    ];
    for (const key of odd) await KV.put(key, `at ${JSON.stringify(key)}`);
    const got = [];
    for (const key of odd) got.push(await KV.get(key));
    const listed = (await KV.list({ prefix: "odd/" })).keys.map(({ name }) => name);
    for (const key of odd) await KV.delete(key);
    return [got, listed, (await KV.list({ prefix: "odd/" })).keys];
  },
  "key: a path of its own": async ({ KV }) => {
    await KV.put("bulk/get", "not the call");
    await KV.put("/slash", "first");
    const got = [await KV.get("bulk/get"), await KV.get("/slash"), await KV.get("slash")];
    await KV.delete("bulk/get");
    await KV.delete("/slash");
    return got;
  },
  "key: no string": async ({ KV }) => {
    const { get, put: store, delete: remove } = loose(KV);
    const results = [];
    for (const key of [123, true, null, undefined, { toString: () => "key/object" }]) {
      results.push(await when(() => store!.call(KV, key, `as ${String(key)}`)));
      results.push(await when(() => get!.call(KV, key)));
      results.push(await when(() => remove!.call(KV, key)));
    }
    return results;
  },
  "key: left out": async ({ KV }) => [
    await when(() => loose(KV)["get"]!()),
    await when(() => loose(KV)["put"]!()),
    await when(() => loose(KV)["put"]!("key")),
    await when(() => loose(KV)["delete"]!()),
    await when(() => loose(KV)["getWithMetadata"]!()),
  ],
};

const puts: Cases = {
  "put: text": async ({ KV }) => [await KV.put("put/text", "text"), await KV.get("put/text")],
  "put: replaces": async ({ KV }) => {
    await KV.put("put/replaced", "one", { metadata: { number: 1 } });
    await KV.put("put/replaced", "two");
    return KV.getWithMetadata("put/replaced");
  },
  "put: an ArrayBuffer": async ({ KV }) => {
    await KV.put("put/buffer", all256.slice().buffer);
    return KV.get("put/buffer", "arrayBuffer");
  },
  "put: a view of a part": async ({ KV }) => {
    await KV.put("put/view", new Uint8Array(all256.buffer, 16, 8));
    return KV.get("put/view", "arrayBuffer");
  },
  "put: views of other types": async ({ KV }) => {
    await KV.put("put/words", new Uint16Array([1, 256, 65_535]));
    await KV.put("put/floats", new Float64Array([0.5, -1]));
    await KV.put("put/data", new DataView(all256.buffer, 4, 4));
    return [
      await KV.get("put/words", "arrayBuffer"),
      await KV.get("put/floats", "arrayBuffer"),
      await KV.get("put/data", "arrayBuffer"),
    ];
  },
  "put: a stream": async ({ KV }) => {
    await KV.put("put/stream", streamOf("one ", "two ", "three"));
    return KV.get("put/stream");
  },
  "put: a stream of known length": async ({ KV }) => {
    const { readable, writable } = new FixedLengthStream(11);
    const writer = writable.getWriter();
    const written = writer
      .write(new TextEncoder().encode("eleven here"))
      .then(() => writer.close());
    await KV.put("put/fixed", readable);
    await written;
    return KV.get("put/fixed");
  },
  "put: the body of a response": async ({ KV }) => {
    const { body } = new Response("from a response");
    if (body !== null) await KV.put("put/response", body);
    return KV.get("put/response");
  },
  "put: what another get streams": async ({ KV }) => {
    await KV.put("put/source", pattern(200_000));
    const source = await KV.get("put/source", "stream");
    if (source !== null) await KV.put("put/copy", source);
    return KV.get("put/copy", "arrayBuffer");
  },
  "put: an empty stream": async ({ KV }) => {
    await KV.put("put/none", streamOf());
    return KV.get("put/none");
  },
  "put: a stream that fails": async ({ KV }) => {
    await KV.put("put/failing", "before");
    const failing = new ReadableStream({
      pull() {
        throw new RangeError("no more");
      },
    });
    const result = (await outcome(() => KV.put("put/failing", failing))) as object;
    return ["threw" in result, await KV.get("put/failing")];
  },
  "put: a buffer that is changed afterwards": async ({ KV }) => {
    const buffer = bytes(1, 2, 3);
    const stored = KV.put("put/changed", buffer);
    buffer.fill(9);
    await stored;
    return KV.get("put/changed", "arrayBuffer");
  },
  "put: no value that can be kept": async ({ KV }) => {
    const results = [];
    for (const value of [{ a: 1 }, [1, 2], new Date(0), new Map(), () => 1, new Blob(["blob"])]) {
      results.push(await when(() => loose(KV)["put"]!("put/bad", value)));
    }
    return results;
  },
  "put: scalars": async ({ KV }) => {
    const results = [];
    for (const value of [123, 1.5, true, null, undefined, 10n]) {
      results.push(await when(() => loose(KV)["put"]!("put/scalar", value)));
      results.push(await KV.get("put/scalar"));
      await KV.delete("put/scalar");
    }
    return results;
  },
  "put: a symbol": ({ KV }) => when(() => loose(KV)["put"]!("put/symbol", Symbol("s"))),
  "put: lone surrogates": async ({ KV }) => {
    await KV.put("put/lone", "a\ud800b");
    return KV.get("put/lone", "arrayBuffer");
  },
  "put: many at once to one key": async ({ KV }) => {
    await Promise.all(Array.from({ length: 20 }, (_, n) => KV.put("put/same", `${n}`)));
    return typeof (await KV.get("put/same"));
  },
  "put: many at once": async ({ KV }) => {
    const names = Array.from({ length: 30 }, (_, n) => `put/many-${n}`);
    await Promise.all(names.map((name) => KV.put(name, name)));
    return Promise.all(names.map((name) => KV.get(name)));
  },
  "put: 100 kB": async ({ KV }) => {
    await KV.put("put/100k", pattern(100_000));
    return [await KV.get("put/100k", "arrayBuffer"), await KV.get("put/100k", "stream")];
  },
  "put: large, then small, then large": async ({ KV }) => {
    const got = [];
    for (const length of [300_000, 3, 400_000]) {
      await KV.put("put/sizes", pattern(length));
      got.push(await KV.get("put/sizes", "arrayBuffer"));
    }
    return got;
  },
  "put: 25 MiB": async ({ KV }) => {
    await KV.put("put/25", pattern(25 * MIB));
    const length = (await KV.get("put/25", "arrayBuffer"))?.byteLength;
    await KV.delete("put/25");
    return length;
  },
  "put: one byte more": async ({ KV }) => [
    await when(() => KV.put("put/over", new Uint8Array(25 * MIB + 1))),
    await KV.get("put/over"),
  ],
  "put: too much text": ({ KV }) => when(() => KV.put("put/over", "x".repeat(25 * MIB + 5))),
  "put: a stream that is too long": async ({ KV }) => {
    const chunks = Array.from({ length: 26 }, () => new Uint8Array(MIB));
    return [await when(() => KV.put("put/over", streamOf(...chunks))), await KV.get("put/over")];
  },
};

const expirations: Cases = {
  "expiration: in the future": async ({ KV }) => {
    await KV.put("exp/at", "later", { expiration: soon() });
    return [await KV.get("exp/at"), withoutTimes(await KV.list({ prefix: "exp/at" }))];
  },
  "expiration: a ttl": async ({ KV }) => {
    await KV.put("exp/ttl", "later", { expirationTtl: 3600 });
    return [await KV.get("exp/ttl"), withoutTimes(await KV.list({ prefix: "exp/ttl" }))];
  },
  "expiration: a ttl goes before a time": async ({ KV }) => {
    await KV.put("exp/both", "later", { expiration: soon() + 9999, expirationTtl: 3600 });
    return withoutTimes(await KV.list({ prefix: "exp/both" }));
  },
  "expiration: taken back by the next put": async ({ KV }) => {
    await KV.put("exp/back", "later", { expirationTtl: 60 });
    await KV.put("exp/back", "stays");
    return KV.list({ prefix: "exp/back" });
  },
  "expiration: in the past": ({ KV }) => when(() => KV.put("exp/bad", "x", { expiration: 1000 })),
  "expiration: 0 and less": async ({ KV }) => [
    await when(() => KV.put("exp/bad", "x", { expiration: 0 })),
    await when(() => KV.put("exp/bad", "x", { expiration: -1 })),
    await when(() => KV.put("exp/bad", "x", { expirationTtl: 0 })),
    await when(() => KV.put("exp/bad", "x", { expirationTtl: -60 })),
  ],
  "expiration: a ttl below a minute": ({ KV }) =>
    when(() => KV.put("exp/bad", "x", { expirationTtl: 59 })),
  "expiration: a ttl of a minute": async ({ KV }) => [
    await when(() => KV.put("exp/minute", "x", { expirationTtl: 60 })),
    await KV.get("exp/minute"),
  ],
  "expiration: a ttl with a fraction": async ({ KV }) => {
    await KV.put("exp/fraction", "x", { expirationTtl: 3600.9 });
    return withoutTimes(await KV.list({ prefix: "exp/fraction" }));
  },
  "expiration: no number": async ({ KV }) => {
    const loosePut = loose(KV)["put"]!;
    return [
      await when(() => loosePut.call(KV, "exp/bad", "x", { expirationTtl: "3600" })),
      await when(() => loosePut.call(KV, "exp/bad", "x", { expirationTtl: "soon" })),
      await when(() => loosePut.call(KV, "exp/bad", "x", { expirationTtl: NaN })),
      await when(() => loosePut.call(KV, "exp/bad", "x", { expirationTtl: null })),
      await when(() => loosePut.call(KV, "exp/bad", "x", { expirationTtl: 1e12 })),
    ];
  },
  "expiration: nothing was stored by those": ({ KV }) => KV.get("exp/none"),
};

const metadata: Cases = {
  "metadata: an object": async ({ KV }) => {
    await KV.put("meta/object", "value", { metadata: { a: 1, b: [null, "x"], c: { d: true } } });
    return [await KV.getWithMetadata("meta/object"), await KV.list({ prefix: "meta/object" })];
  },
  "metadata: scalars": async ({ KV }) => {
    const results = [];
    for (const value of ["text", 7, true, false, 0, ""]) {
      await KV.put("meta/scalar", "value", { metadata: value });
      results.push(await KV.getWithMetadata("meta/scalar"));
      results.push(await KV.list({ prefix: "meta/scalar" }));
    }
    return results;
  },
  "metadata: null and undefined": async ({ KV }) => {
    await KV.put("meta/null", "value", { metadata: null });
    await KV.put("meta/undefined", "value", { metadata: undefined });
    return [
      await KV.getWithMetadata("meta/null"),
      await KV.getWithMetadata("meta/undefined"),
      await KV.list({ prefix: "meta/null" }),
    ];
  },
  "metadata: unicode": async ({ KV }) => {
    await KV.put("meta/unicode", "value", { metadata: { ü: "ünï 🐝 \u0001\n" } });
    return [await KV.getWithMetadata("meta/unicode"), await KV.list({ prefix: "meta/unicode" })];
  },
  "metadata: 1024 bytes": async ({ KV }) => {
    const text = "m".repeat(1022);
    await KV.put("meta/full", "value", { metadata: text });
    return (await KV.getWithMetadata("meta/full")).metadata === text;
  },
  "metadata: 1025 bytes": ({ KV }) =>
    when(() => KV.put("meta/over", "value", { metadata: "m".repeat(1023) })),
  "metadata: what JSON has not": async ({ KV }) => {
    await KV.put("meta/odd", "value", { metadata: { date: new Date(0), gone: undefined, n: NaN } });
    return KV.getWithMetadata("meta/odd");
  },
  "metadata: a ring": ({ KV }) => {
    const ring: Record<string, unknown> = {};
    ring["self"] = ring;
    return outcome(() => KV.put("meta/ring", "x", { metadata: ring })).then(
      (result) => "threw" in (result as object),
    );
  },
  "getWithMetadata: absent": ({ KV }) => KV.getWithMetadata("absent"),
  "getWithMetadata: of each type": async ({ KV }) => {
    await KV.put("meta/types", '{"json":1}', { metadata: { of: "types" } });
    return [
      await KV.getWithMetadata("meta/types"),
      await KV.getWithMetadata("meta/types", "text"),
      await KV.getWithMetadata("meta/types", "json"),
      await KV.getWithMetadata("meta/types", "arrayBuffer"),
      await KV.getWithMetadata("meta/types", "stream"),
      await KV.getWithMetadata("meta/types", { type: "json", cacheTtl: 60 }),
    ];
  },
  "getWithMetadata: a type that there is not": ({ KV }) =>
    when(() => loose(KV)["getWithMetadata"]!("meta/types", "nope")),
  "getWithMetadata: cacheTtl that is too short": ({ KV }) =>
    when(() => KV.getWithMetadata("meta/types", { cacheTtl: 1 })),
  "getWithMetadata: a large value": async ({ KV }) => {
    await KV.put("meta/large", pattern(150_000), { metadata: { large: true } });
    return KV.getWithMetadata("meta/large", "arrayBuffer");
  },
};

const bulk: Cases = {
  "bulk: keys that are and are not there": async ({ KV }) => {
    await put(KV, "bulk/a", "bulk/b");
    return KV.get(["bulk/a", "bulk/absent", "bulk/b"]);
  },
  "bulk: json": async ({ KV }) => {
    await KV.put("bulk/json", '{"x":1}');
    return [
      await KV.get(["bulk/json", "bulk/absent"], "json"),
      await KV.get(["bulk/json"], { type: "json" }),
      await KV.get(["bulk/json"], { type: "text" }),
    ];
  },
  "bulk: json that is none": ({ KV }) => when(() => KV.get(["bulk/a"], "json")),
  "bulk: with metadata": async ({ KV }) => {
    await KV.put("bulk/meta", "value", { metadata: { a: 1 } });
    return [
      await KV.getWithMetadata(["bulk/meta", "bulk/a", "bulk/absent"]),
      await KV.getWithMetadata(["bulk/json"], "json"),
    ];
  },
  "bulk: types that are not for it": async ({ KV }) => [
    await when(() => loose(KV)["get"]!(["bulk/a"], "arrayBuffer")),
    await when(() => loose(KV)["get"]!(["bulk/a"], "stream")),
    await when(() => loose(KV)["get"]!(["bulk/a"], { type: "nope" })),
    await when(() => loose(KV)["getWithMetadata"]!(["bulk/a"], "stream")),
  ],
  "bulk: no keys": ({ KV }) => when(() => KV.get([])),
  "bulk: 100 keys": async ({ KV }) => {
    const names = Array.from({ length: 100 }, (_, n) => `bulk/none-${n}`);
    return (await KV.get(names)).size;
  },
  "bulk: 101 keys": ({ KV }) =>
    when(() => KV.get(Array.from({ length: 101 }, (_, n) => `bulk/none-${n}`))),
  "bulk: the same key twice": ({ KV }) => KV.get(["bulk/a", "bulk/a"]),
  "bulk: an empty key": ({ KV }) => when(() => KV.get(["bulk/a", ""])),
  "bulk: a key that is too long": ({ KV }) => when(() => KV.get(["k".repeat(513)])),
  "bulk: cacheTtl": async ({ KV }) => [
    await KV.get(["bulk/a"], { cacheTtl: 60 }),
    await when(() => KV.get(["bulk/a"], { cacheTtl: 29 })),
  ],
  "bulk: an empty value": async ({ KV }) => {
    await KV.put("bulk/empty", "");
    return [await KV.get(["bulk/empty"]), await KV.getWithMetadata(["bulk/empty"])];
  },
  "bulk: more than 25 MB": async ({ KV }) => {
    for (const name of ["bulk/big-1", "bulk/big-2"]) await KV.put(name, "x".repeat(13 * MIB));
    const result = await when(() => KV.get(["bulk/big-1", "bulk/big-2"]));
    for (const name of ["bulk/big-1", "bulk/big-2"]) await KV.delete(name);
    return result;
  },
  "bulk: a large value": async ({ KV }) => {
    await KV.put("bulk/large", "é".repeat(100_000));
    return (await KV.get(["bulk/large"])).get("bulk/large")?.length;
  },
};

const lists: Cases = {
  "list: nothing": ({ KV }) => KV.list({ prefix: "list/none" }),
  "list: by prefix": async ({ KV }) => {
    await put(KV, "list/a", "list/b", "list/c", "list-other", "list0");
    return KV.list({ prefix: "list/" });
  },
  "list: pages": async ({ KV }) => [
    await pages(KV, { prefix: "list/", limit: 1 }),
    await pages(KV, { prefix: "list/", limit: 2 }),
    await pages(KV, { prefix: "list/", limit: 3 }),
    await pages(KV, { prefix: "list/", limit: 4 }),
  ],
  "list: a page has a cursor": async ({ KV }) =>
    withoutTimes(await KV.list({ prefix: "list/", limit: 2 })),
  "list: keys that go during it": async ({ KV }) => {
    await put(KV, "gone/1", "gone/2", "gone/3", "gone/4");
    const first = await KV.list({ prefix: "gone/", limit: 2 });
    await KV.delete("gone/2");
    await KV.delete("gone/3");
    await put(KV, "gone/1a", "gone/5");
    const cursor = first.list_complete ? null : first.cursor;
    return (await KV.list({ prefix: "gone/", cursor })).keys;
  },
  "list: order": async ({ KV }) => {
    await put(KV, "order/b", "order/B", "order/a", "order/ä", "order/1", "order/10", "order/2");
    await put(KV, "order/", "order/~", "order/\u{10ffff}", "order/\uffff", "order/🐝");
    return (await KV.list({ prefix: "order/" })).keys.map(({ name }) => name);
  },
  "list: a prefix with signs of patterns": async ({ KV }) => {
    await put(KV, "like/%", "like/_", "like/x", "like/*", "like/[a]");
    return [
      await KV.list({ prefix: "like/%" }),
      await KV.list({ prefix: "like/_" }),
      await KV.list({ prefix: "like/*" }),
      await KV.list({ prefix: "like/[" }),
    ];
  },
  "list: the case of a prefix": ({ KV }) => KV.list({ prefix: "LIKE/" }),
  "list: a prefix that is a whole key": ({ KV }) => KV.list({ prefix: "like/x" }),
  "list: limits that are none": async ({ KV }) => [
    await when(() => KV.list({ prefix: "list/", limit: 0 })),
    await when(() => KV.list({ prefix: "list/", limit: -1 })),
    await when(() => KV.list({ prefix: "list/", limit: 1.9 }).then(withoutTimes)),
    await when(() => KV.list({ prefix: "list/", limit: 1000 })),
    await when(() => KV.list({ limit: 1001 })),
    await when(() => loose(KV)["list"]!({ prefix: "list/", limit: "2x" })),
    await when(() => loose(KV)["list"]!({ prefix: "list/", limit: null })),
  ],
  "list: options that are null": async ({ KV }) => [
    await when(() => KV.list({ prefix: null, limit: 1 }).then(({ keys: { length } }) => length)),
    await when(() => KV.list({ prefix: "list/", cursor: null })),
    await when(() => KV.list({ prefix: "list/", cursor: "" })),
    await when(() => loose(KV)["list"]!({ prefix: 123 })),
  ],
  "list: without options": async ({ KV }) => {
    const { keys: listed, list_complete: isComplete, cacheStatus } = await KV.list();
    return [listed.length, isComplete, cacheStatus];
  },
  "list: a prefix that is too long": ({ KV }) => when(() => KV.list({ prefix: "k".repeat(513) })),
  "list: 1100 keys": async ({ KV }) => {
    const names = Array.from({ length: 1100 }, (_, n) => `lots/${String(n).padStart(4, "0")}`);
    for (let n = 0; n < names.length; n += 50) {
      await Promise.all(names.slice(n, n + 50).map((name) => KV.put(name, "")));
    }
    const first = await KV.list({ prefix: "lots/" });
    const cursor = first.list_complete ? null : first.cursor;
    const second = await KV.list({ prefix: "lots/", cursor });
    return [first.keys.length, second.keys.length, second.list_complete, second.keys[0]?.name];
  },
};

const deletes: Cases = {
  "delete: a key": async ({ KV }) => {
    await put(KV, "delete/a");
    return [await KV.delete("delete/a"), await KV.get("delete/a")];
  },
  "delete: a key that is not there": ({ KV }) => KV.delete("delete/absent"),
  "delete: a large value": async ({ KV }) => {
    await KV.put("delete/large", pattern(200_000));
    await KV.delete("delete/large");
    return [await KV.get("delete/large"), await KV.list({ prefix: "delete/large" })];
  },
  "delete: metadata goes, too": async ({ KV }) => {
    await KV.put("delete/meta", "value", { metadata: 1, expirationTtl: 60 });
    await KV.delete("delete/meta");
    await KV.put("delete/meta", "again");
    return [await KV.getWithMetadata("delete/meta"), await KV.list({ prefix: "delete/meta" })];
  },
  "delete: several keys": async ({ KV }) => when(() => loose(KV)["delete"]!(["delete/a", "b"])),
};

const objects: Cases = {
  "the object: its methods": ({ KV }) => [
    typeof KV.get,
    typeof KV.getWithMetadata,
    typeof KV.put,
    typeof KV.list,
    typeof KV.delete,
    typeof (KV as unknown as Record<string, unknown>)["deleteBulk"],
    typeof (KV as unknown as Record<string, unknown>)["fetch"],
  ],
  "the object: its names": ({ KV }) => [
    Object.prototype.toString.call(KV),
    KV.constructor.name,
    Object.keys(KV),
    JSON.stringify(KV),
    `${KV as unknown as string}`,
  ],
  "the object: its methods' names and lengths": ({ KV }) =>
    (["get", "getWithMetadata", "put", "list", "delete"] as const).map((name) => KV[name].name),
  "the object: promises": ({ KV }) => [
    KV.get("absent") instanceof Promise,
    KV.list() instanceof Promise,
    KV.delete("absent") instanceof Promise,
  ],
  "the object: cannot be cloned": ({ KV }) =>
    outcome(() => structuredClone(KV)).then((result) => "threw" in (result as object)),
};

export const kvCases: Cases = {
  ...gets,
  ...keys,
  ...puts,
  ...expirations,
  ...metadata,
  ...bulk,
  ...lists,
  ...deletes,
  ...objects,
};
