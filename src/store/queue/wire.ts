/**
 * The producer's wire protocol, as the runtime's own binding speaks it:
 *
 *   POST /message   the body is the message; X-Msg-Fmt: its content type, `v8` by default; X-Msg-Delay-Secs
 *   POST /batch     {messages: [{body: base64, contentType?, delaySecs?}]}; X-Msg-Delay-Secs for those without one
 *   GET  /metrics
 *
 * `structured` is a content type of our shims (src/cell/shims/queue.ts) alone. A refusal names Cloudflare's error in two
 * headers, which newer Workers show, and in the status, which older ones do.
 */
import type { MessageContentType } from "../../protocol/events.ts";
import {
  MAX_BATCH_BYTES,
  MAX_BATCH_MESSAGES,
  MAX_DELAY_SECONDS,
  MAX_MESSAGE_BYTES,
  QUEUE_DELAY_HEADER,
  type NewMessage,
} from "../../protocol/queue.ts";
import { sizeOf } from "./messages.ts";

export const REFUSALS = {
  notFound: { code: 10104, status: 404, statusText: "Not Found" },
  batchDelay: { code: 10202, status: 400, statusText: "Bad Request" },
  metadata: { code: 10203, status: 400, statusText: "Bad Request" },
  messageSize: { code: 10204, status: 413, statusText: "Payload Too Large" },
  batchSize: { code: 10205, status: 413, statusText: "Payload Too Large" },
  batchCount: { code: 10206, status: 413, statusText: "Payload Too Large" },
  badBody: { code: 10207, status: 400, statusText: "Bad Request" },
  malformed: { code: 10208, status: 400, statusText: "Bad Request" },
  storage: { code: 10251, status: 507, statusText: "Insufficient Storage" },
} as const satisfies Record<string, { code: number; status: number; statusText: string }>;

export type Refusal = keyof typeof REFUSALS;

export class Refused extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal, message: string) {
    super(message);
    this.refusal = refusal;
  }

  toResponse(): Response {
    const { code, status, statusText } = REFUSALS[this.refusal];
    const headers = {
      "CF-Queues-Error-Code": String(code),
      // Nothing of what a tenant sent gets into a header but numbers and short names.
      "CF-Queues-Error-Cause": this.message.replaceAll(/[^ -~]/g, "?"),
    };
    return new Response(this.message, { status, statusText, headers });
  }
}

export interface Sent {
  readonly messages: readonly NewMessage[];
  /** Of those that say nothing; undefined: the queue's. */
  readonly delaySeconds: number | undefined;
}

/** The longest body: every byte of a batch in base64, and as much again for what is around it. */
const MAX_BODY_BYTES = 1_024 * 1_024;
const TYPES: ReadonlySet<string> = new Set(["text", "bytes", "json", "v8", "structured"]);
const decoder = new TextDecoder();

export async function readMessage(request: Request): Promise<Sent> {
  const { headers } = request;
  const declared = Number(headers.get("content-length") ?? 0);
  if (declared > MAX_MESSAGE_BYTES) throw tooLarge(declared);
  const contentType = toType(headers.get("X-Msg-Fmt") ?? undefined);
  const delaySeconds = readDelay(headers, "metadata");
  const bytes = await readBody(request);
  return { messages: [toMessage(bytes, contentType)], delaySeconds };
}

export async function readBatch(request: Request): Promise<Sent> {
  const delaySeconds = readDelay(request.headers, "batchDelay");
  const { messages } = parseBatch(decoder.decode(await readBody(request)));
  if (messages.length > MAX_BATCH_MESSAGES) {
    throw new Refused(
      "batchCount",
      `batch message count of ${messages.length} exceeds limit of ${MAX_BATCH_MESSAGES}`,
    );
  }
  const read = messages.map(readOne);
  const bytes = read.reduce((sum, { body }) => sum + sizeOf(body), 0);
  if (bytes > MAX_BATCH_BYTES) {
    throw new Refused(
      "batchSize",
      `batch size of ${bytes} bytes exceeds limit of ${MAX_BATCH_BYTES}`,
    );
  }
  return { messages: read, delaySeconds };
}

interface WireMessage {
  readonly body: string;
  readonly contentType?: string;
  readonly delaySecs?: number;
}

function parseBatch(text: string): { readonly messages: readonly WireMessage[] } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Refused("malformed", "the batch is not valid JSON");
  }
  const messages = (parsed as { messages?: unknown } | null)?.messages;
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isWireMessage)) {
    throw new Refused("badBody", "the batch is no list of messages");
  }
  return { messages };
}

function isWireMessage(value: unknown): value is WireMessage {
  if (typeof value !== "object" || value === null) return false;
  const { body, contentType, delaySecs } = value as Record<string, unknown>;
  return (
    typeof body === "string" &&
    (contentType === undefined || typeof contentType === "string") &&
    (delaySecs === undefined || typeof delaySecs === "number")
  );
}

function readOne({ body, contentType, delaySecs }: WireMessage): NewMessage {
  const message = toMessage(decode(body), toType(contentType));
  if (delaySecs === undefined) return message;
  return { ...message, delaySeconds: checkDelay(delaySecs, "metadata") };
}

function decode(base64: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    throw new Refused("badBody", "the body of a message is not in base64");
  }
}

export function toMessage(bytes: Uint8Array, contentType: MessageContentType): NewMessage {
  if (bytes.byteLength > MAX_MESSAGE_BYTES) throw tooLarge(bytes.byteLength);
  if (contentType === "bytes" || contentType === "v8") return { contentType, body: bytes };
  const body = decoder.decode(bytes);
  if (contentType !== "text" && !isJson(body)) {
    throw new Refused("metadata", `the message is not what its content type ${contentType} says`);
  }
  return { contentType, body };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function tooLarge(bytes: number): Refused {
  const text = `message length of ${bytes} bytes exceeds limit of ${MAX_MESSAGE_BYTES}`;
  return new Refused("messageSize", text);
}

function toType(text = "v8"): MessageContentType {
  if (TYPES.has(text)) return text as MessageContentType;
  throw new Refused(
    "metadata",
    `message content type is invalid; if specified, must be one of 'text', 'json', 'bytes', or 'v8'`,
  );
}

function readDelay(headers: Headers, refusal: Refusal): number | undefined {
  const text = headers.get("X-Msg-Delay-Secs") ?? headers.get(QUEUE_DELAY_HEADER);
  return text === null ? undefined : checkDelay(Number(text), refusal);
}

export function checkDelay(seconds: number, refusal: Refusal): number {
  if (Number.isInteger(seconds) && seconds >= 0 && seconds <= MAX_DELAY_SECONDS) return seconds;
  throw new Refused(
    refusal,
    `message delay ${seconds} is invalid: must be between 0 and ${MAX_DELAY_SECONDS} seconds`,
  );
}

async function readBody(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (size > MAX_BODY_BYTES) throw new Refused("batchSize", `more than ${MAX_BODY_BYTES} bytes`);
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
