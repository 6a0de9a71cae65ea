/**
 * The R2 binding as a function in an isolate of a loader finds it: R2Bucket and what it returns, over a stub that speaks the
 * runtime's protocol (src/protocol/r2.ts) in its form for shims. One function, whose source goes into the isolate as it is.
 */
import type { R2ObjectInfo } from "../../protocol/r2.ts";

export function makeR2(stub: Fetcher): unknown {
  const HEAD = "x-skep-r2-head";
  const URL_OF_ALL = "https://r2/";
  const TrueResponse = Response;
  const TrueHeaders = Headers;
  const TrueBlob = Blob;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const { stringify, parse } = JSON;

  interface Refusal {
    readonly status: number;
    readonly code: number;
    readonly message: string;
  }

  const RANGE_FIELDS = ["offset", "length", "suffix"] as const;
  const HTTP_FIELDS = [
    ["contentType", "content-type"],
    ["contentLanguage", "content-language"],
    ["contentDisposition", "content-disposition"],
    ["contentEncoding", "content-encoding"],
    ["cacheControl", "cache-control"],
  ] as const;
  const HASHES = [
    ["md5", "MD5", 16],
    ["sha1", "SHA-1", 20],
    ["sha256", "SHA-256", 32],
    ["sha384", "SHA-384", 48],
    ["sha512", "SHA-512", 64],
  ] as const;

  function toHead(call: object): string {
    return encoder.encode(stringify(call)).toBase64();
  }

  async function send(call: object, init: RequestInit): Promise<Response> {
    const headers = { [HEAD]: toHead(call) };
    return stub.fetch(URL_OF_ALL, { ...init, headers });
  }

  /** A call of any size, in the body. */
  async function sendCall(call: object): Promise<Response> {
    const body = encoder.encode(stringify(call));
    const headers = { "cf-r2-metadata-size": String(body.byteLength) };
    return stub.fetch(URL_OF_ALL, { method: "PUT", body, headers });
  }

  function refusalOf(response: Response): Refusal | undefined {
    if (response.status < 400) return undefined;
    const text = response.headers.get("cf-r2-error");
    const { v4code = 0, message = "Unspecified error" } = text === null ? {} : parse(text);
    return { status: response.status, code: v4code, message };
  }

  const isAbsent = ({ status, code }: Refusal) => status === 404 && code === 10007;
  const isUnmet = ({ status, code }: Refusal) =>
    status === 412 && (code === 10031 || code === 10032);

  function throwFor(action: string, { code, message }: Refusal): never {
    throw new Error(`${action}: ${message} (${code})`);
  }

  async function infoOf(response: Response): Promise<R2ObjectInfo> {
    const head = response.headers.get(HEAD);
    if (head === null) return (await response.json()) as R2ObjectInfo;
    return parse(decoder.decode(Uint8Array.fromBase64(head))) as R2ObjectInfo;
  }

  function wrongField(field: string, struct: string, type: string): TypeError {
    return new TypeError(
      `Incorrect type for the '${field}' field on '${struct}': the provided value is not of type '${type}'.`,
    );
  }

  function textField(options: object, field: string, struct: string): string | undefined {
    const value = (options as Record<string, unknown>)[field];
    if (value === undefined || typeof value === "string") return value;
    throw wrongField(field, struct, "string");
  }

  function timeField(options: object, field: string, struct: string): number | undefined {
    const value = (options as Record<string, unknown>)[field];
    if (value === undefined) return undefined;
    const time = value instanceof Date ? value.getTime() : value;
    if (typeof time !== "number") throw wrongField(field, struct, "date");
    return time;
  }

  function requireOptions(value: unknown, method: string, position: number, type: string): object {
    if (value === undefined || value === null) return {};
    if (typeof value === "object" || typeof value === "function") return value;
    throw new TypeError(
      `Failed to execute '${method}' on 'R2Bucket': parameter ${position} is not of type '${type}'.`,
    );
  }

  function etagOf(value: string | undefined): unknown {
    if (value === undefined) return undefined;
    if (value.startsWith('"') && value.endsWith('"')) {
      throw new TypeError(`Conditional ETag should not be wrapped in quotes (${value}).`);
    }
    return [value === "*" ? { type: "wildcard" } : { type: "strong", value }];
  }

  /** If-Match, If-None-Match. */
  function etagsOfHeader(header: string | null, name: string): unknown {
    if (header === null) return undefined;
    const etags: unknown[] = [];
    let rest = header;
    let needsComma = false;
    const refuseWithoutComma = (found: string) => {
      if (needsComma) {
        throw new Error(`Comma was expected to separate etags. Encountered a ${found}`);
      }
    };
    for (;;) {
      rest = rest.replace(/^[ \t]+/, "");
      const weak = rest.startsWith("W");
      if (rest.startsWith(",")) {
        rest = rest.slice(1);
        needsComma = false;
      } else if (rest.startsWith("*")) {
        refuseWithoutComma("wildcard character '*' instead.");
        return [{ type: "wildcard" }];
      } else if (weak || rest.startsWith('"')) {
        refuseWithoutComma(
          weak
            ? "weak quotation character 'W' instead. This would otherwise indicate the start of a new weak etag."
            : "double quote character '\"' instead. This would otherwise indicate the start of a new strong etag.",
        );
        if (weak && !rest.startsWith('W/"')) {
          throw new Error("Weak etags must start with W/ and their value must be quoted");
        }
        const value = rest.slice(weak ? 3 : 1);
        const end = value.indexOf('"');
        if (end === -1) throw new Error("Unclosed double quote for Etag");
        etags.push({ type: weak ? "weak" : "strong", value: value.slice(0, end) });
        rest = value.slice(end + 1);
        needsComma = true;
      } else {
        if (etags.length === 0) throw new Error(`Invalid ETag in ${name} header`);
        return etags;
      }
    }
  }

  function onlyIfOf(value: unknown, struct: string): object | undefined {
    if (value === undefined) return undefined;
    if (value instanceof TrueHeaders) {
      const time = (name: string) => {
        const text = value.get(name);
        return text === null ? undefined : Date.parse(text);
      };
      return {
        etagMatches: etagsOfHeader(value.get("if-match"), "if-match"),
        etagDoesNotMatch: etagsOfHeader(value.get("if-none-match"), "if-none-match"),
        uploadedAfter: time("if-modified-since"),
        uploadedBefore: time("if-unmodified-since"),
        secondsGranularity: true,
      };
    }
    if (typeof value !== "object" || value === null) {
      throw wrongField("onlyIf", struct, "Conditional or Headers");
    }
    const { secondsGranularity } = value as { secondsGranularity?: unknown };
    return {
      etagMatches: etagOf(textField(value, "etagMatches", "Conditional")),
      etagDoesNotMatch: etagOf(textField(value, "etagDoesNotMatch", "Conditional")),
      uploadedAfter: timeField(value, "uploadedAfter", "Conditional"),
      uploadedBefore: timeField(value, "uploadedBefore", "Conditional"),
      ...(Boolean(secondsGranularity) && { secondsGranularity: true }),
    };
  }

  function rangeOf(value: unknown): object {
    if (value === undefined) return {};
    if (value instanceof TrueHeaders) {
      const rangeHeader = value.get("range");
      return rangeHeader === null ? {} : { rangeHeader };
    }
    if (typeof value !== "object" || value === null) {
      throw wrongField("range", "GetOptions", "Range or Headers");
    }
    const range: Partial<Record<(typeof RANGE_FIELDS)[number], number>> = {};
    for (const field of RANGE_FIELDS) {
      const given = (value as Record<string, unknown>)[field];
      if (given !== undefined) range[field] = Number(given);
    }
    const what = { offset: "Starting offset", length: "Length", suffix: "Suffix" };
    for (const field of RANGE_FIELDS) {
      const given = range[field];
      if (given === undefined) continue;
      if (field === "suffix") {
        for (const other of ["offset", "length"] as const) {
          if (range[other] !== undefined) {
            throw new TypeError(`Suffix is incompatible with ${other}.`);
          }
        }
      }
      if (!(given >= 0)) {
        const kind = field === "suffix" ? "suffix" : "range";
        throw new RangeError(
          `Invalid ${kind}. ${what[field]} (${given}) must be greater than or equal to 0.`,
        );
      }
      if (!Number.isInteger(given)) {
        throw new RangeError(
          `Invalid range. ${what[field]} (${given}) must be an integer, not floating point.`,
        );
      }
    }
    return { range };
  }

  function ssecOf(options: object): object {
    const { ssecKey } = options as { ssecKey?: unknown };
    if (ssecKey === undefined) return {};
    const isText = typeof ssecKey === "string";
    if (isText && !/^[0-9a-f]+$/.test(ssecKey)) throw new Error("SSE-C Key has invalid format");
    const length = isText ? ssecKey.length / 2 : (ssecKey as ArrayBuffer).byteLength;
    if (length !== 32) throw new Error("SSE-C Key must be 32 bytes in length");
    return { ssec: { key: isText ? ssecKey : bytesOf(ssecKey as ArrayBuffer).toHex() } };
  }

  function bytesOf(value: ArrayBuffer | ArrayBufferView): Uint8Array {
    return value instanceof ArrayBuffer
      ? new Uint8Array(value)
      : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }

  function httpMetadataOf(value: unknown, struct: string): R2HTTPMetadata | undefined {
    if (value === undefined) return undefined;
    const found: Record<string, unknown> = {};
    if (value instanceof TrueHeaders) {
      for (const [field, header] of HTTP_FIELDS) {
        const text = value.get(header);
        if (text !== null) found[field] = text;
      }
      const expires = value.get("expires");
      if (expires !== null) found["cacheExpiry"] = new Date(expires);
      return found;
    }
    if (typeof value !== "object" || value === null) {
      throw wrongField("httpMetadata", struct, "HttpMetadata or Headers");
    }
    for (const [field] of HTTP_FIELDS) {
      const given = (value as Record<string, unknown>)[field];
      if (given !== undefined) found[field] = `${given as string}`;
    }
    const expiry = timeField(value, "cacheExpiry", "HttpMetadata");
    if (expiry !== undefined) found["cacheExpiry"] = new Date(expiry);
    return found;
  }

  function customMetadataOf(value: unknown, struct: string): Record<string, string> | undefined {
    if (value === undefined) return undefined;
    if (typeof value !== "object" || value === null) {
      throw wrongField("customMetadata", struct, "object");
    }
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, String(v)]));
  }

  /** What put() and createMultipartUpload() have in common. */
  function description(options: object, struct: string) {
    const { httpMetadata, customMetadata, storageClass } = options as R2PutOptions;
    const http = httpMetadataOf(httpMetadata, struct);
    const custom = customMetadataOf(customMetadata, struct);
    return {
      http,
      custom,
      fields: {
        ...(custom && { customFields: Object.entries(custom).map(([k, v]) => ({ k, v })) }),
        ...(http && {
          httpFields: {
            ...http,
            ...(http.cacheExpiry && { cacheExpiry: http.cacheExpiry.getTime() }),
          },
        }),
        ...(storageClass !== undefined && { storageClass: String(storageClass) }),
        ...ssecOf(options),
      },
    };
  }

  function hashOf(options: object): object {
    const found: Record<string, string> = {};
    const given = HASHES.filter(([field]) => (options as R2PutOptions)[field] !== undefined);
    for (const [index, [field, name, bytes]] of given.entries()) {
      if (index > 0) throw new TypeError("You cannot specify multiple hashing algorithms.");
      const value: unknown = (options as R2PutOptions)[field];
      const isText = typeof value === "string";
      if (!isText && !(value instanceof ArrayBuffer) && !ArrayBuffer.isView(value)) {
        throw wrongField(field, "PutOptions", "ArrayBuffer or ArrayBufferView or string");
      }
      const length = isText ? value.length : value.byteLength;
      if (length !== (isText ? bytes * 2 : bytes)) {
        const unit = isText ? "hex characters" : "bytes";
        throw new TypeError(`${name} is ${isText ? bytes * 2 : bytes} ${unit}, not ${length}`);
      }
      if (isText && !/^[0-9a-f]*$/i.test(value)) {
        throw new TypeError(`Provided ${name} wasn't a valid hex string`);
      }
      const hash = isText ? Uint8Array.fromHex(value) : bytesOf(value);
      found[field] = field === "md5" ? hash.toBase64() : hash.toHex();
    }
    return found;
  }

  function contentOf(value: unknown, method: string, where: string): BodyInit | undefined {
    if (value === null || value === undefined) return undefined;
    if (typeof value === "string") return encoder.encode(value);
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
      return bytesOf(value) as Uint8Array<ArrayBuffer>;
    }
    // With a type of its own, it would be a header.
    if (value instanceof TrueBlob) return value.slice(0, value.size, "");
    if (value instanceof ReadableStream) return value;
    throw new TypeError(
      `Failed to execute '${method}' on '${where}': parameter 2 is not of type 'JsReadableStream or ArrayBuffer or ArrayBufferView or string or Blob'.`,
    );
  }

  async function sendContent(call: object, content: BodyInit | undefined): Promise<Response> {
    const response = await send(call, { method: "PUT", body: content ?? new Uint8Array() });
    if (response.status === 411) {
      throw new TypeError(
        "Provided readable stream must have a known length (request/response body or readable half of FixedLengthStream)",
      );
    }
    return response;
  }

  class Checksums {
    readonly md5: ArrayBuffer | undefined;
    readonly sha1: ArrayBuffer | undefined;
    readonly sha256: ArrayBuffer | undefined;
    readonly sha384: ArrayBuffer | undefined;
    readonly sha512: ArrayBuffer | undefined;
    readonly #hex: Readonly<Record<string, string>>;

    constructor(hex: Readonly<Record<string, string>>) {
      this.#hex = hex;
      const bytes = (number: number) => {
        const text = hex[number];
        return text === undefined ? undefined : Uint8Array.fromHex(text).buffer;
      };
      this.md5 = bytes(0);
      this.sha1 = bytes(1);
      this.sha256 = bytes(2);
      this.sha384 = bytes(3);
      this.sha512 = bytes(4);
    }

    toJSON(): Record<string, string | undefined> {
      return Object.fromEntries(HASHES.map(([field], number) => [field, this.#hex[number]]));
    }
  }

  /** With all members, as the runtime makes it. */
  function allHttp(http: R2HTTPMetadata): R2HTTPMetadata {
    const fields = HTTP_FIELDS.map(([field]) => [field, http[field]]);
    return { ...Object.fromEntries(fields), cacheExpiry: http.cacheExpiry } as R2HTTPMetadata;
  }

  function receivedHttp({ httpFields: { cacheExpiry, ...http } }: R2ObjectInfo): R2HTTPMetadata {
    if (cacheExpiry === undefined) return allHttp(http);
    return allHttp({ ...http, cacheExpiry: new Date(Number(cacheExpiry)) });
  }

  class HeadResult {
    readonly key: string;
    readonly version: string;
    readonly size: number;
    readonly etag: string;
    readonly httpEtag: string;
    readonly checksums: Checksums;
    readonly uploaded: Date;
    readonly httpMetadata: R2HTTPMetadata | undefined;
    readonly customMetadata: Record<string, string> | undefined;
    readonly range: object | undefined;
    readonly storageClass: string;
    readonly ssecKeyMd5: string | undefined;

    constructor(
      info: R2ObjectInfo,
      sent?: { http: R2HTTPMetadata | undefined; custom: Record<string, string> | undefined },
    ) {
      this.key = info.name;
      this.version = info.version;
      this.size = info.size;
      this.etag = info.etag;
      this.httpEtag = `"${info.etag}"`;
      this.checksums = new Checksums(info.checksums);
      this.uploaded = new Date(info.uploaded);
      this.httpMetadata = sent === undefined ? receivedHttp(info) : allHttp(sent.http ?? {});
      this.customMetadata =
        sent === undefined
          ? Object.fromEntries(info.customFields.map(({ k, v }) => [k, v]))
          : (sent.custom ?? {});
      this.range = info.range && { ...info.range, suffix: undefined };
      this.storageClass = info.storageClass;
      this.ssecKeyMd5 = undefined;
    }

    writeHttpMetadata(headers: Headers): void {
      const http = this.httpMetadata ?? {};
      for (const [field, header] of HTTP_FIELDS) {
        const text = http[field];
        if (text !== undefined) headers.set(header, text);
      }
      if (http.cacheExpiry) headers.set("expires", http.cacheExpiry.toUTCString());
    }
  }

  class GetResult extends HeadResult {
    readonly #response: Response;

    constructor(info: R2ObjectInfo, body: ReadableStream | null) {
      super(info);
      this.#response = new TrueResponse(body ?? new Uint8Array());
    }

    get body(): ReadableStream | null {
      return this.#response.body;
    }

    get bodyUsed(): boolean {
      return this.#response.bodyUsed;
    }

    arrayBuffer(): Promise<ArrayBuffer> {
      return this.#response.arrayBuffer();
    }

    async bytes(): Promise<Uint8Array> {
      return new Uint8Array(await this.#response.arrayBuffer());
    }

    text(): Promise<string> {
      return this.#response.text();
    }

    json(): Promise<unknown> {
      return this.#response.json();
    }

    async blob(): Promise<Blob> {
      const content = await this.#response.arrayBuffer();
      return new TrueBlob([content], { type: this.httpMetadata?.contentType ?? "" });
    }
  }

  function requirePartNumber(value: unknown): number {
    const number = Math.trunc(Number(value)) || 0;
    if (number >= 1 && number <= 10_000) return number;
    throw new TypeError(
      `Part number must be between 1 and 10000 (inclusive). Actual value was: ${number}`,
    );
  }

  class R2MultipartUpload {
    readonly key: string;
    readonly uploadId: string;

    constructor(key: string, uploadId: string) {
      this.key = key;
      this.uploadId = uploadId;
    }

    async uploadPart(number: unknown, value: unknown, options?: unknown): Promise<object> {
      const given = requireOptions(options, "uploadPart", 3, "UploadPartOptions");
      const content = contentOf(value, "uploadPart", "R2MultipartUpload");
      const partNumber = requirePartNumber(number);
      const { key: object, uploadId } = this;
      const call = { method: "uploadPart", object, uploadId, partNumber, ...ssecOf(given) };
      const response = await sendContent(call, content);
      const refusal = refusalOf(response);
      if (refusal) throwFor("uploadPart", refusal);
      const { etag } = (await response.json()) as { etag: string };
      return { partNumber, etag };
    }

    async complete(uploaded: readonly R2UploadedPart[]): Promise<HeadResult> {
      const parts = [...uploaded].map(({ partNumber, etag }) => ({
        part: requirePartNumber(partNumber),
        etag: String(etag),
      }));
      const { key: object, uploadId } = this;
      const call = { method: "completeMultipartUpload", object, uploadId, parts };
      const response = await sendCall(call);
      const refusal = refusalOf(response);
      if (refusal) throwFor("completeMultipartUpload", refusal);
      return new HeadResult(await infoOf(response));
    }

    async abort(): Promise<void> {
      const { key: object, uploadId } = this;
      const response = await sendCall({ method: "abortMultipartUpload", object, uploadId });
      const refusal = refusalOf(response);
      if (refusal && !isAbsent(refusal)) throwFor("abortMultipartUpload", refusal);
    }
  }

  class R2Bucket {
    async head(key: unknown): Promise<HeadResult | null> {
      const response = await send({ method: "head", object: String(key) }, { method: "GET" });
      const refusal = refusalOf(response);
      if (refusal === undefined) return new HeadResult(await infoOf(response));
      return isAbsent(refusal) ? null : throwFor("head", refusal);
    }

    async get(key: unknown, options?: unknown): Promise<HeadResult | null> {
      const given = requireOptions(options, "get", 2, "GetOptions");
      const { onlyIf, range } = given as { onlyIf?: unknown; range?: unknown };
      const call = {
        method: "get",
        object: String(key),
        onlyIf: onlyIfOf(onlyIf, "GetOptions"),
        ...rangeOf(range),
        ...ssecOf(given),
      };
      const response = await send(call, { method: "GET" });
      const refusal = refusalOf(response);
      if (refusal === undefined) return new GetResult(await infoOf(response), response.body);
      if (isUnmet(refusal)) return new HeadResult(await infoOf(response));
      return isAbsent(refusal) ? null : throwFor("get", refusal);
    }

    async put(key: unknown, value: unknown, options?: unknown): Promise<HeadResult | null> {
      const content = contentOf(value, "put", "R2Bucket");
      const given = requireOptions(options, "put", 3, "PutOptions");
      const { http, custom, fields } = description(given, "PutOptions");
      const call = {
        method: "put",
        object: String(key),
        onlyIf: onlyIfOf((given as { onlyIf?: unknown }).onlyIf, "PutOptions"),
        ...fields,
        ...hashOf(given),
      };
      const response = await sendContent(call, content);
      const refusal = refusalOf(response);
      if (refusal === undefined) return new HeadResult(await infoOf(response), { http, custom });
      return isUnmet(refusal) ? null : throwFor("put", refusal);
    }

    async createMultipartUpload(key: unknown, options?: unknown): Promise<R2MultipartUpload> {
      const given = requireOptions(options, "createMultipartUpload", 2, "MultipartOptions");
      const object = String(key);
      const { fields } = description(given, "MultipartOptions");
      const response = await sendCall({ method: "createMultipartUpload", object, ...fields });
      const refusal = refusalOf(response);
      if (refusal) throwFor("createMultipartUpload", refusal);
      const { uploadId } = (await response.json()) as { uploadId: string };
      return new R2MultipartUpload(object, uploadId);
    }

    resumeMultipartUpload(key: unknown, uploadId: unknown): R2MultipartUpload {
      return new R2MultipartUpload(String(key), String(uploadId));
    }

    async delete(keys: unknown): Promise<void> {
      const which = Array.isArray(keys) ? { objects: keys.map(String) } : { object: String(keys) };
      const response = await sendCall({ method: "delete", ...which });
      const refusal = refusalOf(response);
      if (refusal && !isAbsent(refusal)) throwFor("delete", refusal);
    }

    async list(options?: unknown): Promise<object> {
      const given = requireOptions(options, "list", 1, "ListOptions") as R2ListOptions;
      const { limit, include } = given;
      const call = {
        method: "list",
        // As the runtime sends it, to which -1 is no limit.
        ...(limit !== undefined && Number(limit) !== -1 && { limit: Number(limit) >>> 0 }),
        prefix: textField(given, "prefix", "ListOptions"),
        cursor: textField(given, "cursor", "ListOptions"),
        delimiter: textField(given, "delimiter", "ListOptions"),
        startAfter: textField(given, "startAfter", "ListOptions"),
        include: (include ?? []).map((field) => {
          const number = ["httpMetadata", "customMetadata"].indexOf(field);
          if (number === -1) throw new RangeError(`Unsupported include value ${field}`);
          return number;
        }),
        newRuntime: true,
      };
      const response = await send(call, { method: "GET" });
      const refusal = refusalOf(response);
      if (refusal) throwFor("list", refusal);
      const { objects, truncated, cursor, delimitedPrefixes } = (await response.json()) as {
        objects: R2ObjectInfo[];
        truncated: boolean;
        cursor?: string;
        delimitedPrefixes: string[];
      };
      return {
        objects: objects.map((info) => new HeadResult(info)),
        truncated,
        cursor,
        delimitedPrefixes,
      };
    }
  }

  return new R2Bucket();
}
