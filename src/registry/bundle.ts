/**
 * Puts a version's bundle together: code from the blob store, settings from the registry, secrets opened.
 * Bundles with `env` exist only in memory and on the way to an edge or the trial cell.
 */
import type { Bundle, DurableObjectNamespaceValue, EnvValue } from "../protocol/bundle.ts";
import { loadCode } from "./blobs.ts";
import type { StoreKind } from "../protocol/store.ts";
import type {
  DurableObjectBinding,
  PartBindingType,
  StorageBindingType,
  StoredBinding,
  VersionInPlace,
} from "./records.ts";
import { placeOf, type Sealer } from "./seal.ts";

const MODULE_KINDS = {
  wasm_module: "wasm",
  text_blob: "text",
  data_blob: "data",
} as const satisfies Record<PartBindingType, string>;

export const STORE_KINDS_OF = {
  kv_namespace: "kv",
  r2_bucket: "r2",
  d1: "d1",
  queue: "queue",
} as const satisfies Record<StorageBindingType, StoreKind>;

/** What of a version its bindings are made of. `namespace`: the name of the one that its script is in. */
export interface VersionFacts {
  readonly id: string;
  readonly namespace: string;
  readonly tag: string;
  readonly createdOn: number;
  /** As in VersionInPlace. */
  readonly classOwners: VersionInPlace["classOwners"];
}

export async function makeBundle(
  { namespaceId, namespace, script, version, objects, classOwners }: VersionInPlace,
  blobs: Fetcher,
  sealer: Sealer,
): Promise<Bundle> {
  const place = placeOf(namespaceId, script);
  const facts = {
    id: version.id,
    namespace,
    tag: version.annotations["workers/tag"] ?? "",
    createdOn: version.createdOn,
    classOwners,
  };
  const [code, env] = await Promise.all([
    loadCode(blobs, version.code.blob),
    makeEnv(version.bindings, facts, place, sealer),
  ]);
  const { compatibilityDate, compatibilityFlags } = version.settings;
  const made = { ...code, versionId: version.id, compatibilityDate, compatibilityFlags, env };
  return objects === null ? made : { ...made, objects };
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
    case "service": {
      const { service: script, entrypoint, props } = binding;
      const { namespace } = facts;
      return {
        type: "service",
        namespace,
        script,
        ...(entrypoint !== undefined && { entrypoint }),
        ...(props !== undefined && { props }),
      };
    }
    case "dispatch_namespace": {
      const { namespace, outbound } = binding;
      if (outbound === undefined) return { type: "dispatch-namespace", namespace };
      const { service: script, params: parameters } = outbound;
      return {
        type: "dispatch-namespace",
        namespace,
        outbound: { namespace: facts.namespace, script, parameters },
      };
    }
    case "ratelimit": {
      const { namespaceId: id, simple } = binding;
      return { type: "rate-limit", id, limit: simple.limit, periodSeconds: simple.period };
    }
    case "analytics_engine":
      return { type: "analytics", dataset: binding.dataset };
    case "assets":
      return { type: "assets", versionId: facts.id };
    case "kv_namespace":
    case "r2_bucket":
    case "d1":
    case "queue": {
      const { resourceId: id, resourceName: name, deliveryDelay } = binding;
      const type = STORE_KINDS_OF[binding.type];
      return {
        type,
        id,
        name,
        ...(deliveryDelay !== undefined && { delaySeconds: deliveryDelay }),
      };
    }
    case "durable_object_namespace":
      return toObjects(binding, facts);
    case "workflow":
      return { type: "workflow", workflow: binding.workflowName };
    case "wasm_module":
    case "text_blob":
    case "data_blob":
      return { type: "module", module: binding.part, as: MODULE_KINDS[binding.type] };
  }
}

/** Of a class that is not there yet, in a trial; nothing of it is called there. */
const NO_KEY = "0".repeat(32);

function toObjects(
  { className, scriptName, key = NO_KEY }: DurableObjectBinding,
  { namespace, classOwners }: VersionFacts,
): DurableObjectNamespaceValue {
  const owner = classOwners[key] ?? { script: scriptName ?? "", className };
  const type = "durable-object-namespace";
  return { type, namespace, owner: owner.script, className: owner.className, key };
}
