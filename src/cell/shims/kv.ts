/**
 * The object that a function has for a KV namespace: the runtime's own class in its methods, types and errors, over a stub that
 * takes the same requests. This source goes into the isolate as it is (shims.ts).
 */
export function makeKv(stub: Fetcher): unknown {
  const TrueError = Error;
  const TrueTypeError = TypeError;
  const TrueResponse = Response;
  const TrueBlob = Blob;
  const TrueMap = Map;
  const TrueStream = ReadableStream;
  const Buffer = ArrayBuffer;
  const encode = encodeURIComponent;
  const { parse, stringify } = JSON;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
  const isView = (value: unknown) => Buffer.isView(value);
  const { isArray } = Array;
  const BASE = "https://fake-host/";
  const MAX_KEY_BYTES = 512;
  const MAX_VALUE_BYTES = 25 * 1024 * 1024;
  const BAD_VALUE =
    "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values.";

  type Options = Record<string, unknown> | undefined;
  interface Got {
    value: unknown;
    metadata: unknown;
    cacheStatus: string | null;
  }

  function checkKey(method: string, key: string): void {
    if (key === "") throw new TrueTypeError("Key name cannot be empty.");
    if (key === "." || key === "..") {
      throw new TrueTypeError(`"${key}" is not allowed as a key name.`);
    }
    const { byteLength } = encoder.encode(key);
    if (byteLength <= MAX_KEY_BYTES) return;
    throw new TrueError(
      `KV ${method} failed: 414 UTF-8 encoded length of ${byteLength} exceeds key length limit of ${MAX_KEY_BYTES}.`,
    );
  }

  async function check(method: string, response: Response): Promise<void> {
    if (response.ok) return;
    const { status, statusText } = response;
    await response.body?.cancel();
    throw new TrueError(`KV ${method} failed: ${status} ${statusText}`);
  }

  /** What is left out is no `undefined`, which is a string like any other. */
  function need(given: number, method: string, ...types: string[]): void {
    if (given >= types.length) return;
    throw new TrueTypeError(
      `Failed to execute '${method}' on 'KvNamespace': parameter ${given + 1} is not of type '${types[given]}'.`,
    );
  }

  /** As the runtime reads an optional number. */
  function integer(value: unknown): number | undefined {
    if (value === undefined) return undefined;
    const number = Number(value) || 0;
    if (number > -(2 ** 31) - 1 && number < 2 ** 31) return number | 0;
    throw new TrueTypeError(
      "Value out of range. Must be between -2147483648 and 2147483647 (inclusive).",
    );
  }

  /** Headers are better off without anything else. */
  function ascii(json: string): string {
    return json.replace(
      /[^ -~]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  }

  async function textOf(response: Response): Promise<string> {
    return decoder.decode(await response.arrayBuffer());
  }

  function typeAndTtl(options: unknown): { type: string | undefined; ttl: number | undefined } {
    if (options === undefined || options === null) return { type: undefined, ttl: undefined };
    if (typeof options !== "object") return { type: `${options as string}`, ttl: undefined };
    const { type, cacheTtl } = options as { type?: unknown; cacheTtl?: unknown };
    return { type: type === undefined ? undefined : `${type as string}`, ttl: integer(cacheTtl) };
  }

  async function getOne(key: string, options: unknown): Promise<Got> {
    const { type = "text", ttl } = typeAndTtl(options);
    const cache = ttl === undefined ? "" : `&cache_ttl=${ttl}`;
    const response = await stub.fetch(`${BASE}${encode(key)}?urlencoded=true${cache}`);
    const cacheStatus = response.headers.get("cf-cache-status");
    if (response.status === 404 || response.status === 410) {
      await response.body?.cancel();
      return { value: null, metadata: null, cacheStatus };
    }
    await check("GET", response);
    const text = response.headers.get("cf-kv-metadata");
    const value = await read(response, type);
    return { value, metadata: text === null ? null : parse(text), cacheStatus };
  }

  async function read(response: Response, type: string): Promise<unknown> {
    switch (type) {
      case "text":
        return textOf(response);
      case "json":
        return parse(await textOf(response));
      case "arrayBuffer":
        return response.arrayBuffer();
      case "stream":
        return response.body ?? new TrueResponse("").body;
    }
    await response.body?.cancel();
    throw new TrueTypeError(
      'Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".',
    );
  }

  async function getValue(key: string, options: unknown): Promise<unknown> {
    checkKey("GET", key);
    return (await getOne(key, options)).value;
  }

  async function getMany(
    names: unknown[],
    options: unknown,
    withMetadata: boolean,
  ): Promise<Map<string, unknown>> {
    const { type, ttl } = typeAndTtl(options);
    const response = await stub.fetch(`${BASE}bulk/get`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: stringify({
        keys: names.map(String),
        type: type === "" ? undefined : type,
        withMetadata: withMetadata ? true : undefined,
        cacheTtl: ttl === undefined ? undefined : String(ttl),
      }),
    });
    await check("GET_BULK", response);
    return new TrueMap(Object.entries(parse(await response.text()) as Record<string, unknown>));
  }

  function bodyOf(value: unknown): BodyInit {
    if (value === null || (typeof value !== "object" && typeof value !== "function")) {
      return `${value as string}`;
    }
    if (value instanceof Buffer || isView(value)) return value as BodyInit;
    throw new TrueTypeError(BAD_VALUE);
  }

  /** A stream that fails on its way would look like one that ends: nothing is sent before it is all there. */
  async function readWhole(stream: ReadableStream<Uint8Array>): Promise<Blob> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    const reader = stream.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      length += value.byteLength;
      if (length <= MAX_VALUE_BYTES) chunks.push(value);
    }
    if (length <= MAX_VALUE_BYTES) return new TrueBlob(chunks);
    throw new TrueError(
      `KV PUT failed: 413 Value length of ${length} exceeds limit of ${MAX_VALUE_BYTES}.`,
    );
  }

  class KvNamespace {
    get(...given: unknown[]): Promise<unknown> {
      need(given.length, "get", "string or Array");
      const [key, options] = given;
      if (isArray(key)) return getMany(key, options, false);
      return getValue(`${key as string}`, options);
    }

    getWithMetadata(...given: unknown[]): Promise<unknown> {
      need(given.length, "getWithMetadata", "Array or string");
      const [key, options] = given;
      if (isArray(key)) return getMany(key, options, true);
      const name = `${key as string}`;
      checkKey("GET", name);
      return getOne(name, options);
    }

    async list(options?: Options): Promise<unknown> {
      const query = new URLSearchParams();
      const limit = integer(options?.["limit"]);
      if (limit !== undefined && limit > 0) query.set("key_count_limit", String(limit));
      for (const name of ["prefix", "cursor"]) {
        const value = options?.[name];
        if (value !== undefined && value !== null) query.set(name, `${value as string}`);
      }
      const response = await stub.fetch(`${BASE}?${query.toString()}`);
      await check("GET", response);
      const listed = parse(await response.text()) as {
        keys: { metadata?: unknown }[];
        cacheStatus: unknown;
      };
      for (const key of listed.keys) {
        if (typeof key.metadata === "string") key.metadata = parse(key.metadata);
      }
      listed.cacheStatus = response.headers.get("cf-cache-status");
      return listed;
    }

    async put(...given: unknown[]): Promise<void> {
      need(given.length, "put", "string", "string or Object");
      const [key, value] = given;
      const options = given[2] as Options;
      const name = `${key as string}`;
      checkKey("PUT", name);
      const expiration = integer(options?.["expiration"]);
      const ttl = integer(options?.["expirationTtl"]);
      const metadata = options?.["metadata"];
      const query =
        (expiration === undefined ? "" : `&expiration=${expiration}`) +
        (ttl === undefined ? "" : `&expiration_ttl=${ttl}`);
      const response = await stub.fetch(`${BASE}${encode(name)}?urlencoded=true${query}`, {
        method: "PUT",
        body: value instanceof TrueStream ? await readWhole(value) : bodyOf(value),
        headers:
          metadata === undefined || metadata === null
            ? {}
            : { "cf-kv-metadata": ascii(stringify(metadata)) },
      });
      await check("PUT", response);
      await response.body?.cancel();
    }

    async delete(...given: unknown[]): Promise<void> {
      need(given.length, "delete", "string");
      const name = `${given[0] as string}`;
      checkKey("DELETE", name);
      const response = await stub.fetch(`${BASE}${encode(name)}?urlencoded=true`, {
        method: "DELETE",
      });
      await check("DELETE", response);
      await response.body?.cancel();
    }
  }
  Object.defineProperty(KvNamespace.prototype, Symbol.toStringTag, { value: "KvNamespace" });
  // A proxy cannot be cloned, as the runtime's object cannot.
  return new Proxy(new KvNamespace(), {});
}
