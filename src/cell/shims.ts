/**
 * What has to run inside the isolate for a binding: `get()` of a dispatch namespace returns at once, and a stub's
 * methods do not. The module is evaluated before any module of the tenant, and puts an object in the stub's place.
 * It guards nothing: whoever takes the stub itself can ask for the same.
 */
import { isBindingValue, type BindingValue, type Bundle } from "../protocol/bundle.ts";
import { MAX_BLOBS, MAX_BLOB_BYTES, MAX_DOUBLES, MAX_INDEX_BYTES } from "../protocol/analytics.ts";
import { makeD1 } from "./shims/d1.ts";
import { makeQueue } from "./shims/queue.ts";
import { GET_HEADER, OUTCOME_HEADER } from "../protocol/hop.ts";
import { makeKv } from "./shims/kv.ts";
import { makeObjects } from "./shims/objects.ts";
import { makeR2 } from "./shims/r2.ts";

/** undefined: no binding needs any. */
export function shimSource(env: Bundle["env"]): string | undefined {
  const dispatchers = Object.entries(env).flatMap(([name, value]) =>
    value.type === "dispatch-namespace" ? [{ name, parameters: value.outbound?.parameters }] : [],
  );
  const datasets = Object.entries(env).flatMap(([name, { type }]) =>
    type === "analytics" ? [name] : [],
  );
  const sources = [
    dispatchers.length > 0 &&
      `${DISPATCH_NAMESPACE.replace("BINDINGS", () => JSON.stringify(dispatchers))}`,
    datasets.length > 0 && `${ANALYTICS.replace("BINDINGS", () => JSON.stringify(datasets))}`,
    ...madeInside(env),
  ].filter((source) => source !== false);
  if (sources.length === 0) return undefined;
  return `import { env, waitUntil } from "cloudflare:workers";\n${sources.join("")}`;
}

/**
 * What a shim of its own file is: one function that makes the binding of its stub. Its source goes into the isolate as it
 * is, so it refers to nothing outside of itself but globals, which it takes before any code of the tenant can change them.
 */
type MakeBinding = (stub: Fetcher, value: never) => unknown;

const MAKERS: Readonly<Partial<Record<BindingValue["type"], MakeBinding>>> = {
  kv: makeKv,
  d1: makeD1,
  queue: makeQueue as unknown as MakeBinding,
  "durable-object-namespace": makeObjects,
  r2: makeR2,
};

function madeInside(env: Bundle["env"]): string[] {
  const used = Object.entries(env).flatMap(([name, value]) => {
    if (!isBindingValue(value)) return [];
    const { grant: _, ...shown } = value;
    return MAKERS[value.type] ? [{ name, shown }] : [];
  });
  const types = [...new Set(used.map(({ shown }) => shown.type))];
  return [
    ...types.map((type) => `const ${makerName(type)} = ${String(MAKERS[type])};\n`),
    ...used.map(({ name, shown }) => {
      const key = JSON.stringify(name);
      return `env[${key}] = ${makerName(shown.type)}(env[${key}], ${JSON.stringify(shown)});\n`;
    }),
  ];
}

function makerName(type: string): string {
  return `make_${type.replaceAll("-", "_")}`;
}

/** Stubs have methods since this date; before it, only with a flag. */
const RPC_DATE = "2024-04-03";

const WITH_METHODS: ReadonlySet<string> = new Set([
  "rate-limit",
  "analytics",
  "queue",
  "durable-object-namespace",
  "workflow",
]);

/** What must be on for the bindings to have methods. */
export function flagsFor({ compatibilityDate, compatibilityFlags, env }: Bundle): string[] {
  if (compatibilityDate >= RPC_DATE || compatibilityFlags.includes("rpc")) return [];
  return Object.values(env).some(({ type }) => WITH_METHODS.has(type)) ? ["rpc"] : [];
}

/** Errors look as those of the dispatcher's own binding do (protocol/dispatch-errors.ts). */
const DISPATCH_NAMESPACE = `const { stringify, parse } = JSON;
const encode = encodeURIComponent;
const decode = decodeURIComponent;
const TrueHeaders = Headers;
const TrueRequest = Request;

function toError({ name, message, stack, remote, retryable, limit, retryAfterSeconds }) {
  const error = name === "TypeError" ? new TypeError(message) : new Error(message);
  if (error.name !== name) Object.defineProperty(error, "name", { value: name, configurable: true, writable: true });
  if (remote) {
    error.remote = true;
    if (stack) error.stack = stack;
    return error;
  }
  if (retryable) error.retryable = true;
  return limit ? Object.assign(error, { limit, retryAfterSeconds }) : error;
}

function refuseUndeclared(script, given, { name, parameters }) {
  if (parameters === undefined) {
    throw new TypeError('outbound parameters were given for "' + script + '", but the binding "' + name +
      '" has no outbound Worker; declare it and its parameters with the binding');
  }
  const unknown = Object.keys(given).find((key) => !parameters.includes(key));
  if (unknown === undefined) return;
  throw new TypeError('outbound parameter "' + unknown + '" was given for "' + script + '", but the outbound Worker of the binding "' +
    name + '" declares only [' + parameters.join(", ") + "]");
}

class DispatchNamespace {
  #stub;
  #binding;
  constructor(stub, binding) { this.#stub = stub; this.#binding = binding; }
  get(script, args, options) {
    if (typeof script !== "string" || script === "") {
      throw new TypeError("the script name must be a non-empty string, got " + String(script));
    }
    if (options?.outbound !== undefined) refuseUndeclared(script, options.outbound, this.#binding);
    const stub = this.#stub;
    const given = encode(stringify({ script, args, options }).toWellFormed());
    return {
      async fetch(input, init) {
        const request = new TrueRequest(input, init);
        const headers = new TrueHeaders(request.headers);
        headers.set(${JSON.stringify(GET_HEADER)}, given);
        const response = await stub.fetch(new TrueRequest(request, { headers }));
        const outcome = response.headers.get(${JSON.stringify(OUTCOME_HEADER)});
        if (outcome === null) return response;
        throw toError(parse(decode(outcome)).error);
      },
      connect() { throw new TypeError("connect() to a Worker is not supported; call fetch()"); },
    };
  }
}
for (const binding of BINDINGS) env[binding.name] = new DispatchNamespace(env[binding.name], binding);
`;

/** `writeDataPoint` returns at once and throws for what could not be stored. */
const ANALYTICS = `
const encoder = new TextEncoder();
const decoder = new TextDecoder();
function textOf(value, what) {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return decoder.decode(value);
  throw new TypeError("writeDataPoint(): " + what + " must be a string, an ArrayBuffer or null");
}
function bounded(list, most, what) {
  if (!Array.isArray(list)) throw new TypeError("writeDataPoint(): " + what + " must be an array");
  if (list.length > most) throw new TypeError("writeDataPoint(): " + list.length + " " + what + ", more than " + most);
  return list;
}
function sizeOf(texts) { return texts.reduce((sum, text) => sum + (text === null ? 0 : encoder.encode(text).byteLength), 0); }
function toPoint({ blobs = [], doubles = [], indexes = [] } = {}) {
  const texts = bounded(blobs, ${MAX_BLOBS}, "blobs").map((blob) => textOf(blob, "a blob"));
  const [index = null] = bounded(indexes, 1, "indexes").map((value) => textOf(value, "an index"));
  for (const double of bounded(doubles, ${MAX_DOUBLES}, "doubles")) {
    if (typeof double !== "number") throw new TypeError("writeDataPoint(): a double must be a number");
  }
  if (sizeOf(texts) > ${MAX_BLOB_BYTES}) throw new TypeError("writeDataPoint(): the blobs take more than ${MAX_BLOB_BYTES} bytes");
  if (sizeOf([index]) > ${MAX_INDEX_BYTES}) throw new TypeError("writeDataPoint(): the index takes more than ${MAX_INDEX_BYTES} bytes");
  return { blobs: texts, doubles: [...doubles], index };
}
class AnalyticsEngineDataset {
  #stub;
  constructor(stub) { this.#stub = stub; }
  writeDataPoint(point) {
    waitUntil(this.#stub.write(toPoint(point)).catch((error) => console.error("writeDataPoint(): " + error.message)));
  }
}
for (const name of BINDINGS) env[name] = new AnalyticsEngineDataset(env[name]);
`;
