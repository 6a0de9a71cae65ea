/** One object for each function: what is measured of it now and then is remembered by it. */
import type { FunctionName } from "../dispatcher/routes.ts";

/** A dispatcher may pass on any name that a client asks for. */
const MAX_TARGETS = 100_000;

/** Longer than the names of any function: it is none. */
const MAX_LENGTH = 1_000;

const targets = new Map<string, FunctionName>();

export function targetOf(namespace: string, script: string): FunctionName {
  const name = `${namespace}/${script}`;
  let target = targets.get(name);
  if (target === undefined) {
    if (name.length > MAX_LENGTH) return { namespace, script };
    if (targets.size >= MAX_TARGETS) targets.clear();
    targets.set(name, (target = { namespace, script }));
  }
  return target;
}
