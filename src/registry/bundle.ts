/**
 * Puts a version's bundle together: code from the blob store, settings from the registry, secrets opened.
 * Bundles with `env` exist only in memory and on the way to an edge or the trial cell.
 */
import type { Bundle, EnvValue } from "../protocol/bundle.ts";
import { loadCode } from "./blobs.ts";
import type { PartBindingType, StoredBinding, VersionInPlace } from "./records.ts";
import { placeOf, type Sealer } from "./seal.ts";

const MODULE_KINDS = {
  wasm_module: "wasm",
  text_blob: "text",
  data_blob: "data",
} as const satisfies Record<PartBindingType, string>;

/** What `version_metadata` bindings and the loader's key are made of. */
export interface VersionFacts {
  readonly id: string;
  readonly tag: string;
  readonly createdOn: number;
}

export async function makeBundle(
  { namespaceId, script, version }: VersionInPlace,
  blobs: Fetcher,
  sealer: Sealer,
): Promise<Bundle> {
  const place = placeOf(namespaceId, script);
  const facts = {
    id: version.id,
    tag: version.annotations["workers/tag"] ?? "",
    createdOn: version.createdOn,
  };
  const [code, env] = await Promise.all([
    loadCode(blobs, version.code.blob),
    makeEnv(version.bindings, facts, place, sealer),
  ]);
  const { compatibilityDate, compatibilityFlags } = version.settings;
  return { ...code, versionId: version.id, compatibilityDate, compatibilityFlags, env };
}

export async function makeEnv(
  bindings: readonly StoredBinding[],
  facts: VersionFacts,
  place: string,
  sealer: Sealer,
): Promise<Bundle["env"]> {
  const entries = await Promise.all(
    bindings.map(async (binding) => [binding.name, await toValue(binding, facts, place, sealer)]),
  );
  return Object.fromEntries(entries) as Bundle["env"];
}

async function toValue(
  binding: StoredBinding,
  facts: VersionFacts,
  place: string,
  sealer: Sealer,
): Promise<EnvValue> {
  switch (binding.type) {
    case "plain_text":
      return { type: "value", value: binding.text };
    case "json":
      return { type: "value", value: binding.json };
    case "secret_text":
      return { type: "value", value: await sealer.open(place, binding.sealed) };
    case "version_metadata": {
      const timestamp = new Date(facts.createdOn).toISOString();
      return { type: "value", value: { id: facts.id, tag: facts.tag, timestamp } };
    }
    case "wasm_module":
    case "text_blob":
    case "data_blob":
      return { type: "module", module: binding.part, as: MODULE_KINDS[binding.type] };
  }
}
