/**
 * The producer of a queue, inside the isolate: what the runtime's own class does, in the same wire protocol, with the same
 * errors. Its source goes into the isolate as it is (shims.ts). What is sent as `v8` the runtime would serialize by a
 * format that only it can write: here the trusted side writes it down (store-binding.ts), and the consumer gets an equal
 * value.
 */
interface Stub {
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** The texts of `structured` messages. */
  structured(bodies: readonly unknown[]): Promise<string[]>;
}

interface Prepared {
  contentType: string;
  body: Uint8Array;
}

export function makeQueue(stub: Stub) {
  const { stringify } = JSON;
  const clone = structuredClone;
  const encoder = new TextEncoder();
  const TrueDate = Date;
  const TrueTypeError = TypeError;
  const TrueError = Error;
  const { isArray } = Array;
  const trueIsView = ArrayBuffer.isView.bind(ArrayBuffer);
  const isView = (value: unknown): value is ArrayBufferView => trueIsView(value);
  const { iterator } = Symbol;
  const TYPES = ["text", "bytes", "json", "v8"];
  const flags =
    (globalThis as { Cloudflare?: { compatibilityFlags?: Record<string, boolean> } }).Cloudflare
      ?.compatibilityFlags ?? {};
  const usualType = flags["queues_json_messages"] === false ? "v8" : "json";
  const hasCodes = flags["queue_expose_error_codes"] === true;

  function badArgument(method: string, index: number, type: string): TypeError {
    return new TrueTypeError(
      `Failed to execute '${method}' on 'WorkerQueue': parameter ${index} is not of type '${type}'.`,
    );
  }

  function readOptions(value: unknown, method: string, type: string) {
    if (value === undefined || value === null) return {};
    if (typeof value !== "object" && typeof value !== "function") {
      throw badArgument(method, 2, type);
    }
    return value as { contentType?: unknown; delaySeconds?: unknown };
  }

  function toType(value: unknown): string {
    const text = `${value as string}`;
    const type = text.toLowerCase();
    if (TYPES.includes(type)) return type;
    throw new TrueTypeError(`Unsupported queue message content type: ${text}`);
  }

  /** As the runtime makes an `int` of a value. */
  function toInteger(value: unknown): number {
    const number = +(value as number);
    if (number !== number || number === Infinity || number === -Infinity) return 0;
    if (number > 2147483647 || number < -2147483648) {
      throw new TrueTypeError(
        "Value out of range. Must be between -2147483648 and 2147483647 (inclusive).",
      );
    }
    return number | 0;
  }

  function wrongBody(type: string, wanted: string, body: unknown): TypeError {
    return new TrueTypeError(
      `Content Type "${type}" requires a value of type ${wanted}, but received: ${typeof body}`,
    );
  }

  /** `v8` is left to the trusted side: here only what cannot be cloned is refused. */
  function serialize(body: unknown, type: string, isAlone: boolean): Uint8Array | { of: unknown } {
    if (type === "v8") return { of: clone(body) };
    if (type === "json") return encoder.encode(`${stringify(body)}`);
    if (type === "text") {
      if (typeof body !== "string") throw wrongBody(type, "string", body);
      return encoder.encode(body);
    }
    if (!isView(body)) throw wrongBody(type, "ArrayBufferView", body);
    const { buffer, byteOffset, byteLength } = body;
    const bytes = new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength).slice();
    // The runtime takes the buffer of a message that is sent alone.
    if (isAlone && buffer instanceof ArrayBuffer) clone(buffer, { transfer: [buffer] });
    return bytes;
  }

  async function prepare(
    parts: { type: string; data: Uint8Array | { of: unknown } }[],
  ): Promise<Prepared[]> {
    const values = parts.flatMap(({ data }) =>
      isView(data) ? [] : [(data as { of: unknown }).of],
    );
    const texts = values.length > 0 ? await stub.structured(values) : [];
    let next = 0;
    return parts.map(({ type, data }) =>
      isView(data)
        ? { contentType: type, body: data as Uint8Array }
        : { contentType: "structured", body: encoder.encode(texts[next++]) },
    );
  }

  async function call(method: string, path: string, init: RequestInit): Promise<unknown> {
    const response = await stub.fetch(`http://queue/${path}`, init);
    if (response.status === 200) return response.json();
    const { statusText, headers } = response;
    await response.body?.cancel();
    if (!hasCodes && method !== "metrics") {
      throw new TrueError(`Queue ${method} failed: ${statusText}`);
    }
    const cause = headers.get("CF-Queues-Error-Cause") ?? "Unknown Internal Error";
    throw new TrueError(`${cause} (${headers.get("CF-Queues-Error-Code") ?? "15000"})`);
  }

  interface Metrics {
    backlogCount: number;
    backlogBytes: number;
    oldestMessageTimestamp?: number;
  }

  function toMetrics({ backlogCount, backlogBytes, oldestMessageTimestamp }: Metrics) {
    return {
      backlogCount,
      backlogBytes,
      ...(oldestMessageTimestamp && {
        oldestMessageTimestamp: new TrueDate(oldestMessageTimestamp),
      }),
    };
  }

  function toResponse(answer: unknown) {
    const { metadata } = answer as { metadata: { metrics: Metrics } };
    return { metadata: { metrics: toMetrics(metadata.metrics) } };
  }

  function delayHeader(seconds: unknown): Record<string, string> {
    return seconds === undefined ? {} : { "X-Msg-Delay-Secs": `${toInteger(seconds)}` };
  }

  function readRequest(request: unknown) {
    if (request === undefined || request === null) {
      throw new TrueTypeError(
        "Cannot initialize N7workerd3api11WorkerQueue18MessageSendRequestE with required members from an undefined or null value.",
      );
    }
    if (typeof request !== "object" && typeof request !== "function") {
      throw new TrueTypeError(
        "Incorrect type: the provided value is not of type 'MessageSendRequest'.",
      );
    }
    const { body, contentType, delaySeconds } = request as Record<string, unknown>;
    return {
      body,
      contentType: contentType === undefined ? undefined : `${contentType as string}`,
      delaySecs: delaySeconds === undefined ? undefined : toInteger(delaySeconds),
    };
  }

  class WorkerQueue {
    async send(...args: unknown[]) {
      const [body, options] = args;
      if (args.length === 0) throw badArgument("send", 1, "Value");
      const { contentType, delaySeconds } = readOptions(options, "send", "SendOptions");
      const delay = delayHeader(delaySeconds);
      if (body === undefined) throw new TrueTypeError("Message body cannot be undefined");
      const type = contentType === undefined ? usualType : toType(contentType);
      const [message] = await prepare([{ type, data: serialize(body, type, true) }]);
      const { contentType: format, body: bytes } = message as Prepared;
      const headers = {
        "content-type": "application/octet-stream",
        "X-Msg-Fmt": format,
        ...delay,
      };
      return toResponse(await call("send", "message", { method: "POST", headers, body: bytes }));
    }

    async sendBatch(...args: unknown[]) {
      const [messages, options] = args;
      const isSequence =
        isArray(messages) ||
        (typeof messages === "object" &&
          messages !== null &&
          typeof (messages as Record<symbol, unknown>)[iterator] === "function");
      if (!isSequence) throw badArgument("sendBatch", 1, "Sequence");
      const requests = [...(messages as Iterable<unknown>)].map(readRequest);
      const { delaySeconds } = readOptions(options, "sendBatch", "SendBatchOptions");
      const delay = delayHeader(delaySeconds);
      if (requests.length === 0) {
        throw new TrueTypeError("sendBatch() requires at least one message");
      }
      const parts = requests.map(({ body, contentType }) => {
        if (body === undefined) throw new TrueTypeError("Message body cannot be undefined");
        const type = contentType ?? usualType;
        // In a batch the runtime takes lower case alone.
        if (toType(type) !== type) {
          throw new TrueTypeError(`Unsupported queue message content type: ${type}`);
        }
        return { type, data: serialize(body, type, false) };
      });
      const prepared = await prepare(parts);
      const sent = prepared.map(({ contentType, body }, index) => {
        const { delaySecs } = requests[index] as { delaySecs?: number };
        return { body: body.toBase64(), contentType, delaySecs };
      });
      const headers = { "content-type": "application/json", ...delay };
      const body = stringify({ messages: sent });
      return toResponse(await call("sendBatch", "batch", { method: "POST", headers, body }));
    }

    async metrics() {
      return toMetrics((await call("metrics", "metrics", { method: "GET" })) as Metrics);
    }

    get [Symbol.toStringTag]() {
      return "WorkerQueue";
    }
  }

  return new WorkerQueue();
}
