/**
 * Everything that can go wrong in the registry without being a bug. The API maps each reason to an HTTP
 * answer in one exhaustive switch (src/api/failures.ts).
 */
import type { PlaceKind } from "../protocol/placement.ts";
import type { StoreKind } from "../protocol/store.ts";
import type { NamespaceKind } from "./records.ts";
import { failure, type Result } from "./result.ts";

export type RegistryFailure =
  | { readonly reason: "unknown-token" }
  | { readonly reason: "expired-token"; readonly expiredOn: number }
  | { readonly reason: "no-such-token"; readonly id: string }
  /** The operator's own, which the platform makes. */
  | { readonly reason: "operators-token" }
  | { readonly reason: "too-many-tokens"; readonly max: number }
  | { readonly reason: "unknown-namespace"; readonly namespace: string }
  | { readonly reason: "namespace-exists"; readonly namespace: string }
  /** The outbound Worker lies in a namespace that has one itself. */
  | { readonly reason: "outbound-chained"; readonly namespace: string }
  /** Other namespaces have their outbound Worker in this one. */
  | {
      readonly reason: "outbound-in-use";
      readonly namespace: string;
      readonly users: readonly string[];
    }
  | {
      readonly reason: "unknown-script";
      readonly kind: NamespaceKind;
      readonly namespace: string;
      readonly script: string;
    }
  | { readonly reason: "unknown-version"; readonly versionId: string }
  /** Its code would come into force with a change of something else. */
  | {
      readonly reason: "newest-not-deployed";
      /** null: outside of dispatch namespaces. */
      readonly namespace: string | null;
      readonly script: string;
      readonly versionId: string;
    }
  | { readonly reason: "bad-shares"; readonly detail: string }
  | { readonly reason: "unknown-deployment"; readonly id: string }
  | { readonly reason: "deployment-in-force"; readonly id: string }
  | { readonly reason: "not-dedicated"; readonly versionId: string; readonly place: PlaceKind }
  | { readonly reason: "unknown-route"; readonly id: string }
  /** `owner`: the script that it leads to, if it does to one. */
  | { readonly reason: "route-exists"; readonly pattern: string; readonly owner: string | null }
  | { readonly reason: "unknown-zone"; readonly id: string }
  /** `taken`: the zone that is there, of the same name or of another account. */
  | { readonly reason: "zone-exists"; readonly name: string; readonly taken: string }
  | { readonly reason: "no-zone"; readonly host: string; readonly pattern: string }
  | { readonly reason: "not-in-zone"; readonly pattern: string; readonly zone: string }
  | { readonly reason: "unknown-domain"; readonly id: string }
  | { readonly reason: "unknown-binding"; readonly name: string }
  | { readonly reason: "binding-name-taken"; readonly name: string }
  | { readonly reason: "missing-inherited"; readonly names: readonly string[] }
  | { readonly reason: "too-many-bindings"; readonly got: number; readonly max: number }
  | { readonly reason: "too-many-tails"; readonly max: number }
  /** A Tail Worker that does not exist. */
  | { readonly reason: "unknown-consumer"; readonly script: string }
  | { readonly reason: "too-many-tags"; readonly got: number; readonly max: number }
  | { readonly reason: "bad-rollout"; readonly detail: string }
  | { readonly reason: "rollout-running"; readonly script: string; readonly candidate: string }
  /** `latest`: how the one before ended; null: there was none. */
  | { readonly reason: "no-rollout"; readonly script: string; readonly latest: string | null }
  /** The code that a change was based on is no longer the newest. */
  | { readonly reason: "changed-meanwhile"; readonly script: string }
  /** It never was, or it has expired. */
  | { readonly reason: "unknown-asset-session" }
  | { readonly reason: "asset-differs"; readonly hash: string }
  | { readonly reason: "missing-assets"; readonly count: number }
  | { readonly reason: "startup-failed"; readonly message: string }
  | { readonly reason: "trial-unavailable"; readonly detail: string }
  /** Of migrations of Durable Object classes; null: none. */
  | {
      readonly reason: "migration-tag";
      readonly wanted: string | null;
      readonly current: string | null;
    }
  /** `step`: the kind of migration, such as `delete-class`. */
  | { readonly reason: "class-exists"; readonly className: string; readonly step: string }
  | {
      readonly reason: "no-such-class";
      readonly className: string;
      readonly script: string;
      readonly step: string;
    }
  | { readonly reason: "too-many-classes"; readonly script: string; readonly max: number }
  /** `isNew`: it came with the migration of this very version. */
  | { readonly reason: "class-not-exported"; readonly className: string; readonly isNew: boolean }
  /** It cannot be deleted. `scripts`: who is bound to it; none: the version itself. */
  | {
      readonly reason: "class-bound";
      readonly className: string;
      readonly scripts: readonly string[];
    }
  /** Of a binding. */
  | { readonly reason: "unknown-class"; readonly className: string; readonly script: string }
  | { readonly reason: "class-undeclared"; readonly className: string }
  /** `useSqlite`: as it is declared. */
  | {
      readonly reason: "class-storage-differs";
      readonly className: string;
      readonly useSqlite: boolean;
    }
  /** The script cannot go: others are bound to its Durable Objects. */
  | {
      readonly reason: "objects-in-use";
      readonly script: string;
      readonly users: readonly string[];
    }
  /** The change is stored, but the supervisor has not done it. */
  | { readonly reason: "objects-unreachable"; readonly detail: string }
  | { readonly reason: "unknown-workflow"; readonly workflow: string }
  /** Account Workers' names are unique. */
  | { readonly reason: "workflow-exists"; readonly workflow: string; readonly owner: string }
  /** A binding to the Workflow of another script. */
  | {
      readonly reason: "workflow-elsewhere";
      readonly name: string;
      readonly workflow: string;
      readonly owner: string;
    }
  | {
      readonly reason: "workflow-not-exported";
      readonly workflow: string;
      readonly className: string;
    }
  /** `by`: what of the script has it. */
  | {
      readonly reason: "workflow-class-taken";
      readonly workflow: string;
      readonly className: string;
      readonly by: string;
    }
  | { readonly reason: "too-many-workflows"; readonly script: string; readonly max: number }
  /** It cannot be deleted: the version in force is bound to it. */
  | { readonly reason: "workflow-bound"; readonly workflow: string; readonly script: string }
  | { readonly reason: "unknown-resource"; readonly kind: StoreKind; readonly id: string }
  | { readonly reason: "too-many-resources"; readonly kind: StoreKind; readonly max: number }
  | {
      readonly reason: "resource-exists";
      readonly kind: StoreKind;
      readonly name: string;
      readonly id: string;
    }
  | { readonly reason: "unknown-change-feed"; readonly id: string }
  | { readonly reason: "too-many-change-feeds"; readonly max: number }
  | { readonly reason: "queue-consumer-exists"; readonly queueId: string }
  | { readonly reason: "no-queue-consumer"; readonly id: string }
  /** The change is stored, but the store process has not taken it. */
  | { readonly reason: "store-unreachable"; readonly detail: string }
  /** The change is stored, but the edges have not confirmed it. */
  | { readonly reason: "edges-unreachable"; readonly detail: string };

export type Outcome<T> = Result<T, RegistryFailure>;

/** Aborts a transaction with an expected failure; `expected` turns it back into data. */
export class Rejection extends Error {
  readonly failure: RegistryFailure;

  constructor(failure: RegistryFailure) {
    super(failure.reason);
    this.failure = failure;
  }
}

/** Runs `body`, with a thrown `Rejection` as its failure. Everything else passes through. */
export function expected<T>(body: () => Outcome<T>): Outcome<T> {
  try {
    return body();
  } catch (error) {
    if (error instanceof Rejection) return failure(error.failure);
    throw error;
  }
}
