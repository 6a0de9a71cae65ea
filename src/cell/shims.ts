/**
 * What has to run inside the isolate for a binding: `get()` of a dispatch namespace returns at once, and a stub's
 * methods do not. The module is evaluated before any module of the tenant, and puts an object in the stub's place.
 * It guards nothing: whoever takes the stub itself can ask for the same.
 */
import type { Bundle } from "../protocol/bundle.ts";
import { OUTCOME_HEADER } from "../protocol/hop.ts";
import { GET_HEADER } from "./bindings.ts";

/** undefined: no binding needs any. */
export function shimSource(env: Bundle["env"]): string | undefined {
  const dispatchers = Object.entries(env).flatMap(([name, value]) =>
    value.type === "dispatch-namespace" ? [{ name, parameters: value.outbound?.parameters }] : [],
  );
  if (dispatchers.length === 0) return undefined;
  return DISPATCH_NAMESPACE.replace("BINDINGS", () => JSON.stringify(dispatchers));
}

/** Stubs have methods since this date; before it, only with a flag. */
const RPC_DATE = "2024-04-03";

/** What must be on for the bindings to have methods. */
export function flagsFor({ compatibilityDate, compatibilityFlags, env }: Bundle): string[] {
  if (compatibilityDate >= RPC_DATE || compatibilityFlags.includes("rpc")) return [];
  return Object.values(env).some(({ type }) => type === "rate-limit") ? ["rpc"] : [];
}

/** Errors look as those of the dispatcher's own binding do (protocol/dispatch-errors.ts). */
const DISPATCH_NAMESPACE = `import { env } from "cloudflare:workers";
const { stringify, parse } = JSON;
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
      connect() { throw new TypeError("connect() to a user Worker is not supported; call fetch()"); },
    };
  }
}
for (const binding of BINDINGS) env[binding.name] = new DispatchNamespace(env[binding.name], binding);
`;
