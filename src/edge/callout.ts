/** Posts what the store tells a URL on behalf of a function: as that function's own fetch goes out, and is bounded. */
import type { Callout, CalloutResult } from "../protocol/events.ts";
import {
  EGRESS_ERROR_HEADER,
  EGRESS_HEADER,
  encodeEgressCall,
  type EgressCall,
} from "../protocol/egress.ts";
import type { Grants } from "../protocol/grants.ts";
import type { Invoker } from "./invoke.ts";

const MAX_WAIT_MS = 30_000;

export interface CalloutOptions {
  readonly egress: Fetcher;
  readonly invoker: Pick<Invoker, "outboundOf">;
  readonly grants: Grants;
}

/** Never rejects. */
export async function callOut(options: CalloutOptions, callout: Callout): Promise<CalloutResult> {
  const { egress } = options;
  const { url, text } = callout;
  const signal = AbortSignal.timeout(MAX_WAIT_MS);
  try {
    const headers = {
      "content-type": "application/json",
      [EGRESS_HEADER]: encodeEgressCall(await callOf(options, callout)),
    };
    const response = await egress.fetch(url, {
      method: "POST",
      headers,
      body: text,
      redirect: "manual",
      signal,
    });
    if (response.headers.has(EGRESS_ERROR_HEADER))
      return { failed: (await response.text()).trim() };
    await response.body?.cancel();
    return { status: response.status };
  } catch (error) {
    return { failed: (error as Error).message };
  }
}

/** What the functions of a namespace with an outbound Worker send must not get past that. */
async function callOf(
  { invoker, grants }: CalloutOptions,
  { namespace, script }: Callout,
): Promise<EgressCall> {
  const call = { namespace, script, via: [`${namespace}/${script}`] };
  const outbound = await invoker.outboundOf(namespace, script);
  if (outbound === undefined) return call;
  const grant = await grants.make(call, { type: "outbound", ...outbound });
  return { ...call, outbound: { ...outbound, grant } };
}
