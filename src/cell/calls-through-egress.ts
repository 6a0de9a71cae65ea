/** How bindings reach the platform from a cell, whose only way out is the egress: it passes them to an edge. */
import { UnavailableError } from "../protocol/dispatch-errors.ts";
import {
  EGRESS_ERROR_HEADER,
  EGRESS_HEADER,
  encodeEgressCall,
  type EdgeService,
  type EgressCall,
} from "../protocol/egress.ts";
import { forward } from "../protocol/hop.ts";
import { relayed } from "../protocol/relay.ts";
import { STORE_HEADER, type StoreCall } from "../protocol/store.ts";
import type { TraceBatch, TraceFlush } from "../protocol/trace.ts";
import type { BindingValue } from "../protocol/bundle.ts";
import type { BindingCalls, Caller } from "./bindings.ts";
import { withoutOwn } from "./outbound.ts";

export function callsThroughEgress(
  egress: Fetcher,
  store: Fetcher,
  databases: Fetcher,
): BindingCalls {
  return {
    store({ namespace, script }, { type: kind, id, grant }, request) {
      const call: StoreCall = {
        kind,
        id,
        namespace,
        script,
        ...(grant !== undefined && { grant }),
      };
      request.headers.set(STORE_HEADER, JSON.stringify(call));
      return (kind === "d1" ? databases : store).fetch(request);
    },
    async dispatch(caller, value, call, request) {
      const headers = withoutOwn(request.headers);
      headers.set(EGRESS_HEADER, callOf(caller, value, "dispatch", call.via));
      const forwarded = new Request(request, { headers });
      return relayed(await forward(egress, call, forwarded, { versionId: "" }));
    },
    async limit(caller, value, key) {
      const response = await egress.fetch("http://limits.invalid/", {
        method: "POST",
        headers: { [EGRESS_HEADER]: callOf(caller, value, "limits", []) },
        body: JSON.stringify({ value, key }),
      });
      // Who cannot count must not refuse.
      return response.ok ? response.json<boolean>() : true;
    },
    async write(caller, value, point) {
      await egress.fetch("http://analytics.invalid/", {
        method: "POST",
        headers: { [EGRESS_HEADER]: callOf(caller, value, "analytics", []) },
        body: JSON.stringify({ dataset: value.dataset, point }),
      });
    },
    async asset({ namespace, script }, { versionId, grant }, via, request) {
      const headers = new Headers(request.headers);
      const call = { namespace, script, via, call: "assets", versionId } as const;
      const granted = grant === undefined ? call : { ...call, grant };
      headers.set(EGRESS_HEADER, encodeEgressCall(granted));
      const asset = new Request(request, { headers, redirect: "manual" });
      const response = await egress.fetch(asset);
      if (!response.headers.has(EGRESS_ERROR_HEADER)) return response;
      await response.body?.cancel();
      throw new UnavailableError("the static assets cannot be reached now");
    },
  };
}

function callOf(
  { namespace, script }: Caller,
  { grant }: BindingValue,
  call: EdgeService,
  via: readonly string[],
): string {
  const of = { namespace, script, via, call };
  return encodeEgressCall(grant === undefined ? of : { ...of, grant });
}

/** To an edge, which has given the grant for it. Rejects if it is not taken. */
export async function sendTraces(egress: Fetcher, batch: TraceBatch, grant: string): Promise<void> {
  const { namespace, script } = batch;
  const call: EgressCall = { namespace, script, via: [], call: "traces", grant };
  const flush: TraceFlush = { batches: [batch] };
  const headers = { [EGRESS_HEADER]: encodeEgressCall(call) };
  const init = { method: "POST", headers, body: JSON.stringify(flush) };
  const response = await egress.fetch(`http://traces-${namespace}/`, init);
  await response.body?.cancel();
  if (!response.ok) throw new Error(`trace events were answered with ${response.status}`);
}
