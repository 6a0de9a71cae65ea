/** The store's other kinds, in the wire protocols of their bindings (src/protocol/store.ts). */
import { exports } from "cloudflare:workers";
import { STORE_HEADER, type StoreCall, type StoreKind } from "../../protocol/store.ts";

export function callKind(
  kind: StoreKind,
  id: string,
  path: string,
  init: RequestInit & { readonly headers: Readonly<Record<string, string>> },
): Promise<Response> {
  const call: StoreCall = { kind, id };
  const headers = { ...init.headers, [STORE_HEADER]: JSON.stringify(call) };
  const { ControlGate: gate } = exports as unknown as { readonly ControlGate: Fetcher };
  return gate.fetch(new Request(`http://store${path}`, { ...init, headers }));
}
