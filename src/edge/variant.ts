/** Which variant of a version (protocol/outbound.ts) an invocation is for. */
import type { ScriptEntry } from "../namespace/script-entry.ts";
import type { DispatchCall } from "../namespace/user-worker.ts";
import {
  outboundVariant,
  parametersVariant,
  refuseUndeclared,
  type Variant,
} from "../protocol/outbound.ts";

/** On the way of every request. */
export function isPlain({ outbound }: ScriptEntry, { asOutbound, options }: DispatchCall): boolean {
  return outbound === undefined && asOutbound === undefined && options?.outbound === undefined;
}

/** Rejects with a TypeError if the parameters cannot be passed. */
export async function variantOf(
  entry: ScriptEntry,
  { asOutbound, options }: DispatchCall,
): Promise<Variant | undefined> {
  if (asOutbound !== undefined) return parametersVariant(asOutbound);
  const given = options?.outbound;
  if (given !== undefined) refuseUndeclared(entry.outbound, given, entry.state);
  return entry.outbound && outboundVariant(entry.outbound, given);
}

/** The one that is kept warm. */
export async function usualVariant({ outbound }: ScriptEntry): Promise<Variant | undefined> {
  return outbound && outboundVariant(outbound, undefined);
}
