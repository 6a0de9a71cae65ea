/** Requests to the S3 API as a client signs them, by the specification: the other side of src/api/s3/. */
import { exports } from "cloudflare:workers";
import {
  ALGORITHM,
  canonicalRequest,
  scopeText,
  signature,
  signingKey,
  stringToSign,
  UNSIGNED,
} from "../../api/s3/sigv4.ts";

const HOST = "api";

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Init {
  readonly body?: BodyInit;
  readonly headers?: Record<string, string>;
  readonly payloadHash?: string;
  readonly at?: Date;
}

export class S3Client {
  readonly #keys: S3Keys;

  constructor(keys: S3Keys) {
    this.#keys = keys;
  }

  /** `path` is encoded, and may have a query. */
  async fetch(method: string, path: string, init: S3Init = {}): Promise<Response> {
    const { headers } = await this.sign(method, path, init);
    return send(`http://${HOST}${path}`, { method, headers, body: init.body ?? null });
  }

  async sign(method: string, target: string, init: S3Init) {
    const at = amzDate(init.at ?? new Date());
    const scope = { date: at.slice(0, 8), region: "auto", service: "s3" };
    const payloadHash = init.payloadHash ?? UNSIGNED;
    const all: Record<string, string> = {
      ...init.headers,
      host: HOST,
      "x-amz-content-sha256": payloadHash,
      "x-amz-date": at,
    };
    const names = Object.keys(all)
      .map((name) => name.toLowerCase())
      .sort();
    const headers = names.map((name) => [name, new Headers(all).get(name) ?? ""] as const);
    const [path = "", query = ""] = target.split("?");
    const canonical = canonicalRequest({ method, path, query, headers, payloadHash });
    const key = await signingKey(this.#keys.secretAccessKey, scope);
    const signed = await signature(key, await stringToSign(at, scope, canonical));
    const credential = `${this.#keys.accessKeyId}/${scopeText(scope)}`;
    const authorization = `${ALGORITHM} Credential=${credential}, SignedHeaders=${names.join(";")}, Signature=${signed}`;
    return { headers: { ...all, authorization }, key, scope, at, signature: signed };
  }

  async presign(method: string, path: string, expires = 60, at = new Date()): Promise<string> {
    const time = amzDate(at);
    const scope = { date: time.slice(0, 8), region: "auto", service: "s3" };
    const credential = encodeURIComponent(`${this.#keys.accessKeyId}/${scopeText(scope)}`);
    const query = [
      `X-Amz-Algorithm=${ALGORITHM}`,
      `X-Amz-Credential=${credential}`,
      `X-Amz-Date=${time}`,
      `X-Amz-Expires=${expires}`,
      "X-Amz-SignedHeaders=host",
    ].join("&");
    const headers = [["host", HOST]] as const;
    const canonical = canonicalRequest({ method, path, query, headers, payloadHash: UNSIGNED });
    const key = await signingKey(this.#keys.secretAccessKey, scope);
    const signed = await signature(key, await stringToSign(time, scope, canonical));
    return `http://${HOST}${path}?${query}&X-Amz-Signature=${signed}`;
  }
}

export function send(url: string, init: RequestInit = {}): Promise<Response> {
  const gate = (exports as unknown as Record<"default", { fetch: typeof fetch }>).default;
  const headers = new Headers(init.headers);
  headers.set("host", HOST);
  return gate.fetch(url, { ...init, headers });
}

function amzDate(at: Date): string {
  return at.toISOString().replace(/[-:]|\.\d+/g, "");
}
