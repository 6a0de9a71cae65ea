/**
 * The trusted side of bindings to Durable Objects that another process holds: calls go to the script that has their class, by
 * the way of calls of functions by functions. The isolate's side is the shim (shims/objects.ts), which makes the ids.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { DurableObjectNamespaceValue } from "../protocol/bundle.ts";
import type { ObjectAddress } from "../protocol/objects.ts";
import { calls, type BindingProps } from "./bindings.ts";
import { chargeSubrequest } from "./outbound.ts";
import { isReserved, toRequest, toResult, toThrown } from "./rpc.ts";

/** From the shim: which object of the class; JSON, percent-encoded. */
const OBJECT_HEADER = "x-skep-object";

export class SkepObjects extends WorkerEntrypoint<
  unknown,
  BindingProps<DurableObjectNamespaceValue>
> {
  override async fetch(request: Request): Promise<Response> {
    const address = JSON.parse(
      decodeURIComponent(request.headers.get(OBJECT_HEADER) ?? "{}"),
    ) as Partial<ObjectAddress>;
    const headers = new Headers(request.headers);
    headers.delete(OBJECT_HEADER);
    try {
      return await this.#send(address, new Request(request, { headers }), {});
    } catch (error) {
      throw toThrown(error);
    }
  }

  async call(
    id: unknown,
    name: unknown,
    method: unknown,
    args: readonly unknown[],
  ): Promise<unknown> {
    try {
      if (typeof method !== "string")
        throw new TypeError("a call of a Durable Object names no method");
      if (isReserved(method)) throw reserved(method);
      const address = { id, name } as Partial<ObjectAddress>;
      const request = toRequest(method, args);
      return await toResult(await this.#send(address, request, { rpc: method }));
    } catch (error) {
      throw toThrown(error);
    }
  }

  #send(
    { id, name }: Partial<ObjectAddress>,
    request: Request,
    how: { readonly rpc?: string },
  ): Promise<Response> {
    const { caller, value } = this.ctx.props;
    if (typeof id !== "string" || (name !== undefined && typeof name !== "string")) {
      throw new TypeError("a call of a Durable Object names none");
    }
    const via = chargeSubrequest(caller);
    const { namespace, owner: script, key } = value;
    const object = { key, id, ...(name !== undefined && { name }) };
    const call = { namespace, script, args: undefined, options: undefined, via, object, ...how };
    return calls().dispatch(caller, value, call, request, this.ctx);
  }
}

/** In the runtime's words. */
function reserved(method: string): TypeError {
  return new TypeError(`'${method}' is a reserved method and cannot be called over RPC.`);
}
