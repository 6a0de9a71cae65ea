/**
 * What has to run inside the isolate for a binding: `get()` of a dispatch namespace returns at once, and a stub's
 * methods do not. The module is evaluated before any module of the tenant, and puts an object in the stub's place.
 * It guards nothing: whoever takes the stub itself can ask for the same.
 */
import type { Bundle } from "../protocol/bundle.ts";
import { GET_HEADER } from "./bindings.ts";

/** undefined: no binding needs any. */
export function shimSource(env: Bundle["env"]): string | undefined {
  const names = Object.entries(env).flatMap(([name, { type }]) =>
    type === "dispatch-namespace" ? [name] : [],
  );
  return names.length === 0 ? undefined : dispatchShim(names);
}

/** Stubs have methods since this date; before it, only with a flag. */
const RPC_DATE = "2024-04-03";

/** What must be on for the bindings to have methods. */
export function flagsFor({ compatibilityDate, compatibilityFlags, env }: Bundle): string[] {
  if (compatibilityDate >= RPC_DATE || compatibilityFlags.includes("rpc")) return [];
  return Object.values(env).some(({ type }) => type === "rate-limit") ? ["rpc"] : [];
}

function dispatchShim(names: readonly string[]): string {
  return `import { env } from "cloudflare:workers";
const { stringify } = JSON;
const encode = encodeURIComponent;
const TrueHeaders = Headers;
const TrueRequest = Request;
class DispatchNamespace {
  #stub;
  constructor(stub) { this.#stub = stub; }
  get(script, args, options) {
    if (typeof script !== "string" || script === "") {
      throw new TypeError("the script name must be a non-empty string, got " + String(script));
    }
    const stub = this.#stub;
    const given = encode(stringify({ script, args, options }).toWellFormed());
    return {
      fetch(input, init) {
        const request = new TrueRequest(input, init);
        const headers = new TrueHeaders(request.headers);
        headers.set(${JSON.stringify(GET_HEADER)}, given);
        return stub.fetch(new TrueRequest(request, { headers }));
      },
      connect() { throw new TypeError("connect() to a user Worker is not supported; call fetch()"); },
    };
  }
}
for (const name of ${JSON.stringify(names)}) env[name] = new DispatchNamespace(env[name]);
`;
}
