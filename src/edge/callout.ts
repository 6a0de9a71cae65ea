/** Posts what the store tells a URL on behalf of a function: as that function's own fetch goes out, and is bounded. */
import type { Callout, CalloutResult } from "../protocol/events.ts";
import { EGRESS_ERROR_HEADER, EGRESS_HEADER, encodeEgressCall } from "../protocol/egress.ts";

const MAX_WAIT_MS = 30_000;

/** Never rejects. */
export async function callOut(egress: Fetcher, callout: Callout): Promise<CalloutResult> {
  const { namespace, script, url, text } = callout;
  const headers = {
    "content-type": "application/json",
    [EGRESS_HEADER]: encodeEgressCall({ namespace, script, via: [`${namespace}/${script}`] }),
  };
  const signal = AbortSignal.timeout(MAX_WAIT_MS);
  try {
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
