/**
 * The object that a function has for a KV namespace: the runtime's own class in its methods, types and errors, over a stub that
 * takes the same requests. This source goes into the isolate as it is (shims.ts).
 */
export function makeKv(stub: Fetcher): unknown {
  const TrueError = Error;
  const TrueTypeError = TypeError;
  const TrueResponse = Response;
  const TrueMap = Map;
  const TrueStream = ReadableStream;
  const Buffer = ArrayBuffer;
  const encode = encodeURIComponent;
  const { parse, stringify } = JSON;
  const encoder = new TextEncoder();
  const { isView } = ArrayBuffer;
  const { isArray } = Array;
  const BASE = "https://fake-host/";
  const MAX_KEY_BYTES = 512;
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

  /** As the runtime reads an optional number. */
  function integer(value: unknown): number | undefined {
    return value === undefined ? undefined : (value as number) | 0;
  }

  function typeAndTtl(options: unknown): { type: string | undefined; ttl: number | undefined } {
    if (options === undefined || options === null) return { type: undefined, ttl: undefined };
    if (typeof options !== "object") return { type: String(options), ttl: undefined };
    const { type, cacheTtl } = options as { type?: unknown; cacheTtl?: unknown };
    return { type: type === undefined ? undefined : String(type), ttl: integer(cacheTtl) };
  }

  async function getOne(key: string, options: unknown): Promise<Got> {
    checkKey("GET", key);
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
        return response.text();
      case "json":
        return parse(await response.text());
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
    if (typeof value !== "object" || value === null) return String(value);
    if (value instanceof Buffer || isView(value) || value instanceof TrueStream) {
      return value as BodyInit;
    }
    throw new TrueTypeError(BAD_VALUE);
  }

  class KvNamespace {
    async get(key: unknown, options?: unknown): Promise<unknown> {
      if (isArray(key)) return getMany(key, options, false);
      return (await getOne(String(key), options)).value;
    }

    async getWithMetadata(key: unknown, options?: unknown): Promise<unknown> {
      if (isArray(key)) return getMany(key, options, true);
      return getOne(String(key), options);
    }

    async list(options?: Options): Promise<unknown> {
      const query = new URLSearchParams();
      const limit = integer(options?.["limit"]);
      if (limit !== undefined && limit > 0) query.set("key_count_limit", String(limit));
      for (const name of ["prefix", "cursor"]) {
        const value = options?.[name];
        if (value !== undefined && value !== null) query.set(name, String(value));
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

    async put(key: unknown, value: unknown, options?: Options): Promise<void> {
      const name = String(key);
      checkKey("PUT", name);
      const expiration = integer(options?.["expiration"]);
      const ttl = integer(options?.["expirationTtl"]);
      const metadata = options?.["metadata"];
      const query =
        (expiration === undefined ? "" : `&expiration=${expiration}`) +
        (ttl === undefined ? "" : `&expiration_ttl=${ttl}`);
      const response = await stub.fetch(`${BASE}${encode(name)}?urlencoded=true${query}`, {
        method: "PUT",
        body: bodyOf(value),
        headers:
          metadata === undefined || metadata === null
            ? {}
            : { "cf-kv-metadata": stringify(metadata) },
      });
      await check("PUT", response);
      await response.body?.cancel();
    }

    async delete(key: unknown): Promise<void> {
      const name = String(key);
      checkKey("DELETE", name);
      const response = await stub.fetch(`${BASE}${encode(name)}?urlencoded=true`, {
        method: "DELETE",
      });
      await check("DELETE", response);
      await response.body?.cancel();
    }
  }
  Object.defineProperty(KvNamespace.prototype, Symbol.toStringTag, { value: "KvNamespace" });
  return new KvNamespace();
}
