/**
 * Which bindings a new version gets, from what was uploaded and the version before. Pure: it runs once
 * before the trial and again, on the version that is newest then, inside the transaction of the release;
 * that second run is what keeps a secret that was written while an upload was under way.
 */
import type { RegistryFailure } from "./failures.ts";
import type { BindingChange, StoredBinding } from "./records.ts";
import { failure, success, type Result } from "./result.ts";

/** As on Cloudflare's paid plan: 128 variables and secrets a Worker. */
export const MAX_BINDINGS = 128;

/** Kept whatever the upload says: wrangler 4.125 names none, and losing a secret is never meant. */
const ALWAYS_KEPT = "secret_text";

export function resolveBindings(
  change: BindingChange,
  before: readonly StoredBinding[],
): Result<readonly StoredBinding[], RegistryFailure> {
  const bindings = apply(change, before);
  if (!bindings.ok || bindings.value.length <= MAX_BINDINGS) return bindings;
  return failure({ reason: "too-many-bindings", got: bindings.value.length, max: MAX_BINDINGS });
}

function apply(
  change: BindingChange,
  before: readonly StoredBinding[],
): Result<readonly StoredBinding[], RegistryFailure> {
  switch (change.mode) {
    case "keep":
      return success(before);
    case "replace":
      return replace(change, before);
    case "secrets":
      return writeSecrets(change.secrets, before);
  }
}

function replace(
  { bindings, keepTypes, strict }: Extract<BindingChange, { mode: "replace" }>,
  before: readonly StoredBinding[],
): Result<readonly StoredBinding[], RegistryFailure> {
  const next = new Map<string, StoredBinding>();
  const missing: string[] = [];
  for (const binding of bindings) {
    if (binding.type !== "inherit") {
      next.set(binding.name, binding);
      continue;
    }
    const source = before.find(({ name }) => name === binding.oldName);
    if (source) next.set(binding.name, { ...source, name: binding.name });
    else missing.push(binding.name);
  }
  if (strict && missing.length > 0) return failure({ reason: "missing-inherited", names: missing });
  for (const binding of before) {
    const kept = binding.type === ALWAYS_KEPT || keepTypes.includes(binding.type);
    if (kept && !next.has(binding.name)) next.set(binding.name, binding);
  }
  return success([...next.values()]);
}

function writeSecrets(
  secrets: Readonly<Record<string, string | null>>,
  before: readonly StoredBinding[],
): Result<readonly StoredBinding[], RegistryFailure> {
  const next = new Map(before.map((binding) => [binding.name, binding]));
  for (const [name, sealed] of Object.entries(secrets)) {
    const current = next.get(name);
    if (current && current.type !== "secret_text") {
      return failure({ reason: "binding-name-taken", name });
    }
    if (sealed !== null) next.set(name, { type: "secret_text", name, sealed });
    else if (!next.delete(name)) return failure({ reason: "unknown-binding", name });
  }
  return success([...next.values()]);
}
