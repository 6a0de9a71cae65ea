/** Which variant of a version (protocol/outbound.ts) an invocation is for. */
import type { ScriptEntry } from "../namespace/script-entry.ts";
import type { DispatchCall } from "../namespace/user-worker.ts";
import {
  outboundVariant,
  parametersVariant,
  refuseUndeclared,
  tracedVariant,
  type Variant,
} from "../protocol/outbound.ts";

/** On the way of every request. */
export function isPlain(
  entry: ScriptEntry,
  { asOutbound, options, outbound }: DispatchCall,
): boolean {
  return (
    entry.outbound === undefined &&
    !entry.isTraced &&
    asOutbound === undefined &&
    options?.outbound === undefined &&
    outbound === undefined
  );
}

/** Rejects with a TypeError if the parameters cannot be passed. */
export async function variantOf(
  entry: ScriptEntry,
  call: DispatchCall,
): Promise<Variant | undefined> {
  const variant = await untracedVariant(entry, call);
  return entry.isTraced ? tracedVariant(variant) : variant;
}

async function untracedVariant(
  entry: ScriptEntry,
  { asOutbound, options, outbound = entry.outbound }: DispatchCall,
): Promise<Variant | undefined> {
  if (asOutbound !== undefined) return parametersVariant(asOutbound);
  const given = options?.outbound;
  if (given !== undefined) refuseUndeclared(outbound, given, entry.state);
  return outbound && outboundVariant(outbound, given);
}

/** The one that is kept warm. */
export async function usualVariant({
  outbound,
  isTraced,
}: ScriptEntry): Promise<Variant | undefined> {
  const variant = outbound && (await outboundVariant(outbound, undefined));
  return isTraced ? tracedVariant(variant) : variant;
}
