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
export function isPlain(
  entry: ScriptEntry,
  { asOutbound, options, outbound }: DispatchCall,
): boolean {
  return (
    entry.outbound === undefined &&
    asOutbound === undefined &&
    options?.outbound === undefined &&
    outbound === undefined
  );
}

/** Rejects with a TypeError if the parameters cannot be passed. */
export async function variantOf(
  entry: ScriptEntry,
  { asOutbound, options, outbound = entry.outbound }: DispatchCall,
): Promise<Variant | undefined> {
  if (asOutbound !== undefined) return parametersVariant(asOutbound);
  const given = options?.outbound;
  if (given !== undefined) refuseUndeclared(outbound, given, entry.state);
  return outbound && outboundVariant(outbound, given);
}

/** The one that is kept warm. */
export async function usualVariant({ outbound }: ScriptEntry): Promise<Variant | undefined> {
  return outbound && outboundVariant(outbound, undefined);
}
