/** A bucket's contents for the API: the calls of src/protocol/r2.ts, in their form with the JSON in a header, over the store's control socket. */
import {
  R2_ERROR,
  R2_HEAD,
  type R2ErrorBody,
  type R2Get,
  type R2Listing,
  type R2ObjectInfo,
  type R2Put,
  type R2Read,
  type R2UploadPart,
  type R2Write,
} from "../../protocol/r2.ts";
import { STORE_HEADER, type StoreCall } from "../../protocol/store.ts";

/** What the store refused. */
export class BucketError extends Error {
  readonly status: number;
  readonly code: number;

  constructor(status: number, { v4code, message }: R2ErrorBody) {
    super(message);
    this.status = status;
    this.code = v4code;
  }
}

/** R2's number for each, as far as callers act on it. */
export const R2_CODES = {
  internal: 10001,
  noBucket: 10006,
  noKey: 10007,
  noUpload: 10024,
  precondition: 10031,
} as const;

export interface UploadSummary {
  readonly key: string;
  readonly id: string;
  readonly created: number;
}

export interface PartSummary {
  readonly number: number;
  readonly size: number;
  readonly etag: string;
  readonly uploaded: number;
}

export interface FoundObject {
  readonly info: R2ObjectInfo;
  readonly body: ReadableStream | null;
}

export class BucketClient {
  readonly #store: Fetcher;
  readonly #id: string;

  constructor(store: Fetcher, id: string) {
    this.#store = store;
    this.#id = id;
  }

  async head(key: string): Promise<R2ObjectInfo> {
    return (await this.#read({ method: "head", object: key })).json<R2ObjectInfo>();
  }

  async get(call: Omit<R2Get, "method">): Promise<FoundObject> {
    const response = await this.#read({ method: "get", ...call });
    const head = new TextDecoder().decode(
      Uint8Array.fromBase64(response.headers.get(R2_HEAD) ?? ""),
    );
    return { info: JSON.parse(head) as R2ObjectInfo, body: response.body };
  }

  async list(call: {
    readonly prefix?: string | undefined;
    readonly delimiter?: string | undefined;
    readonly cursor?: string | undefined;
    readonly startAfter?: string | undefined;
    readonly limit?: number | undefined;
    readonly include?: readonly number[];
  }): Promise<R2Listing> {
    return (await this.#read({ method: "list", ...call } as R2Read)).json<R2Listing>();
  }

  /** `length`: undefined if the body does not say. */
  async put(call: Omit<R2Put, "method">, body: BodyInit | null): Promise<R2ObjectInfo> {
    const made = await this.#write({ method: "put", ...call, anyLength: true }, body);
    return made.json<R2ObjectInfo>();
  }

  async uploadPart(call: Omit<R2UploadPart, "method">, body: BodyInit | null): Promise<string> {
    const made = await this.#write({ method: "uploadPart", ...call, anyLength: true }, body);
    return (await made.json<{ etag: string }>()).etag;
  }

  /** Answers with JSON, or nothing. */
  async call(call: R2Write): Promise<Response> {
    const body = new TextEncoder().encode(JSON.stringify(call));
    const headers = { "cf-r2-metadata-size": String(body.byteLength) };
    return this.#send("http://store/", { method: "PUT", headers, body });
  }

  async uploads(
    prefix: string,
    after: { readonly key: string; readonly id: string },
    limit: number,
  ): Promise<UploadSummary[]> {
    const query = { prefix, key: after.key, upload: after.id, limit: String(limit) };
    return (await this.#ask("uploads", query)).json<UploadSummary[]>();
  }

  async parts(key: string, upload: string, after: number, limit: number): Promise<PartSummary[]> {
    const query = { key, upload, after: String(after), limit: String(limit) };
    return (await this.#ask("parts", query)).json<PartSummary[]>();
  }

  async usage(): Promise<{ objects: number; bytes: number }> {
    return (await this.#ask("usage", {})).json();
  }

  #ask(what: string, query: Record<string, string>): Promise<Response> {
    const search = new URLSearchParams(query).toString();
    return checked(this.#store.fetch(`http://store/r2/${this.#id}/${what}?${search}`));
  }

  #read(call: R2Read): Promise<Response> {
    return this.#send("http://store/", { headers: { [R2_HEAD]: headOf(call) } });
  }

  #write(call: R2Write, body: BodyInit | null): Promise<Response> {
    const headers = { [R2_HEAD]: headOf(call) };
    return this.#send("http://store/", { method: "PUT", headers, body: body ?? new Uint8Array() });
  }

  #send(url: string, init: RequestInit): Promise<Response> {
    const target: StoreCall = { kind: "r2", id: this.#id };
    const headers = new Headers(init.headers);
    headers.set(STORE_HEADER, JSON.stringify(target));
    return checked(this.#store.fetch(url, { ...init, headers }));
  }
}

async function checked(answer: Promise<Response>): Promise<Response> {
  const response = await answer;
  if (response.ok) return response;
  const error = response.headers.get(R2_ERROR);
  await response.body?.cancel();
  if (error !== null) throw new BucketError(response.status, JSON.parse(error) as R2ErrorBody);
  throw new Error(`the store answered ${response.status}`);
}

function headOf(call: object): string {
  return new TextEncoder().encode(JSON.stringify(call)).toBase64();
}
