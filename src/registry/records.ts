/**
 * The registry's records as the rest of the hub sees them: plain data that crosses RPC. Times are Unix
 * milliseconds. Secrets are sealed (seal.ts) wherever they appear here.
 */
import type { Limits, LimitSettings } from "../protocol/limits.ts";
import type { ObjectHome } from "../protocol/objects.ts";
import type { OutboundWorker } from "../protocol/outbound.ts";
import type { Permission } from "../protocol/permissions.ts";
import type { Isolation, Place } from "../protocol/placement.ts";
import type { DeclaredClasses, ObjectMigrations } from "./object-classes.ts";
import type { TrustRecord } from "./trust.ts";

export interface TokenRecord {
  readonly id: string;
  readonly name: string;
  readonly accountId: string;
  readonly accountName: string;
  /** Names of the namespaces it may touch; null: all of the account. */
  readonly namespaces: readonly string[] | null;
  readonly permissions: readonly Permission[];
  readonly createdOn: number;
  readonly expiresOn: number | null;
  /** To the minute; null: never. */
  readonly lastUsedOn: number | null;
  readonly owner: TokenOwner;
}

/** Whose token it is to clients: both may do the same, but one of the account has no e-mail address. */
export type TokenOwner = "user" | "account";

/** `account`: the one that holds the Workers of an account outside of dispatch namespaces. Its name is the subdomain. */
export type NamespaceKind = "dispatch" | "account";

export interface NamespaceRecord {
  readonly id: string;
  readonly name: string;
  readonly kind: NamespaceKind;
  readonly trustedWorkers: boolean;
  /** null: the platform's. */
  readonly isolation: Isolation | null;
  /** Gets every fetch of its functions; null: there is none. */
  readonly outbound: OutboundWorker | null;
  /** Tail Workers of all its functions. */
  readonly tailConsumers: readonly { readonly namespace: string; readonly script: string }[];
  readonly limits: LimitSettings;
  readonly scriptCount: number;
  readonly createdOn: number;
  readonly createdBy: string;
  readonly modifiedOn: number;
  readonly modifiedBy: string;
}

/** A binding as it is stored. A secret's text is sealed. */
export type StoredBinding =
  | { readonly type: "plain_text"; readonly name: string; readonly text: string }
  | { readonly type: "json"; readonly name: string; readonly json: unknown }
  | { readonly type: "secret_text"; readonly name: string; readonly sealed: string }
  | { readonly type: "version_metadata"; readonly name: string }
  | ServiceBinding
  | DispatchNamespaceBinding
  | RateLimitBinding
  | { readonly type: "analytics_engine"; readonly name: string; readonly dataset: string }
  | { readonly type: "assets"; readonly name: string }
  | StorageBinding
  | DurableObjectBinding
  | WorkflowBinding
  | { readonly type: PartBindingType; readonly name: string; readonly part: string };

/** To a class of Durable Objects of the script itself, or of another one of its namespace. */
export interface DurableObjectBinding {
  readonly type: "durable_object_namespace";
  readonly name: string;
  readonly className: string;
  /** Absent: the script itself. */
  readonly scriptName?: string;
  /** By which the class is meant from its release on (src/protocol/objects.ts). */
  readonly key?: string;
}

/** To a Workflow of the script itself (workflows.ts). */
export interface WorkflowBinding {
  readonly type: "workflow";
  readonly name: string;
  readonly workflowName: string;
  readonly className: string;
  /** Only in an upload, where it may be another one, which is refused. */
  readonly scriptName?: string;
}

/** A Worker of the account (outside of dispatch namespaces), or for a user Worker one of its own namespace. */
export interface ServiceBinding {
  readonly type: "service";
  readonly name: string;
  readonly service: string;
  readonly entrypoint?: string;
  readonly props?: Readonly<Record<string, unknown>>;
}

export interface DispatchNamespaceBinding {
  readonly type: "dispatch_namespace";
  readonly name: string;
  /** By name: a binding to one that is renamed leads nowhere, as on Cloudflare. */
  readonly namespace: string;
  /** `service`: an account Worker. `params`: names. */
  readonly outbound?: { readonly service: string; readonly params: readonly string[] };
}

export interface RateLimitBinding {
  readonly type: "ratelimit";
  readonly name: string;
  readonly namespaceId: string;
  readonly simple: { readonly limit: number; readonly period: 10 | 60 };
}

export const STORAGE_BINDING_TYPES = ["kv_namespace", "r2_bucket", "d1", "queue"] as const;
export type StorageBindingType = (typeof STORAGE_BINDING_TYPES)[number];

/** To a resource (resources.ts). It was found when the version was uploaded, and is meant by its id from then on. */
export interface StorageBinding {
  readonly type: StorageBindingType;
  readonly name: string;
  readonly resourceId: string;
  /** As it was called then. */
  readonly resourceName: string;
  /** Of a queue, in seconds. */
  readonly deliveryDelay?: number;
}

/** Bindings whose value is a module of the upload. Service-worker syntax only. */
export const PART_BINDING_TYPES = ["wasm_module", "text_blob", "data_blob"] as const;
export type PartBindingType = (typeof PART_BINDING_TYPES)[number];

/** A binding as it was uploaded: stored ones, or a reference to one of the version before. */
export type UploadedBinding =
  | StoredBinding
  | { readonly type: "inherit"; readonly name: string; readonly oldName: string };

/** What the modules of a version are, and what they turned out to be when they were tried. */
export interface CodeRecord {
  /** SHA-256 of the blob, hex. Also its name in the blob store and the version's etag. */
  readonly blob: string;
  readonly syntax: "modules" | "service-worker";
  readonly mainModule: string;
  readonly startupTimeMs: number;
  /** Handlers of the default export, such as `fetch`. */
  readonly handlers: readonly string[];
  /** Names of other exported entrypoints. */
  readonly exports: readonly string[];
}

/** What belongs to one version and changes only by a new one. */
export interface VersionSettings {
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  /** Within the operator's maxima when it was uploaded. */
  readonly limits: LimitSettings | null;
  readonly placement: Readonly<Record<string, string>> | null;
}

/** The static assets of a version. `isOnly`: its upload had no code. */
export interface AssetsRecord {
  /** SHA-256 of the manifest in the blob store: an AssetManifest (src/protocol/assets.ts). */
  readonly manifest: string;
  readonly htmlHandling: string;
  readonly notFoundHandling: string;
  readonly runWorkerFirst: boolean | readonly string[];
  readonly isOnly: boolean;
}

/** Which versions get traffic. Percentages add up to 100; a version with 0 is reached by those who ask for it. */
export interface DeploymentRecord {
  readonly id: string;
  readonly createdOn: number;
  readonly author: string;
  readonly source: string;
  readonly shares: readonly { readonly versionId: string; readonly percentage: number }[];
  readonly annotations: Readonly<Record<string, string>>;
}

/** What belongs to the script and survives every version. */
export interface ScriptSettings {
  readonly tags: readonly string[];
  readonly logpush: boolean;
  readonly observability: Readonly<Record<string, unknown>> | null;
  /** Its own host name, and those of its versions' previews, lead somewhere. */
  readonly workersDev: boolean;
  readonly previews: boolean;
  /** Names of Workers that get its trace events, of the same kind and namespace as itself. */
  readonly tailConsumers: readonly string[];
}

export interface VersionRecord {
  readonly id: string;
  /** Counts up from 1 within a script. */
  readonly number: number;
  readonly createdOn: number;
  readonly author: string;
  /** `wrangler` or `api`. */
  readonly source: string;
  readonly code: CodeRecord;
  readonly settings: VersionSettings;
  readonly bindings: readonly StoredBinding[];
  /** Such as `workers/message`. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly assets: AssetsRecord | null;
}

export interface ScriptRecord {
  readonly id: string;
  readonly name: string;
  readonly namespaceId: string;
  readonly namespace: string;
  readonly createdOn: number;
  readonly modifiedOn: number;
  readonly settings: ScriptSettings;
  readonly limits: LimitSettings;
  /** Of its version. */
  readonly trust: TrustRecord;
  /** The one that gets the largest share of traffic. */
  readonly version: VersionRecord;
  /** In force. */
  readonly deployment: DeploymentRecord;
  /** Of its Durable Object classes; null: it never had any. */
  readonly migrationTag: string | null;
  /** It has classes of Durable Objects. */
  readonly isStateful: boolean;
}

/** A script in a list: without bindings, which may be large. */
export type ScriptSummary = Omit<ScriptRecord, "version"> & {
  readonly version: Omit<VersionRecord, "bindings">;
};

/** A version in a list: of its bindings, which may be large, only what there is. */
export type VersionSummary = Omit<VersionRecord, "bindings"> & {
  readonly bindings: readonly Pick<StoredBinding, "type" | "name">[];
};

/** A version and where it belongs: what is needed to make its bundle. */
export interface VersionInPlace {
  readonly namespaceId: string;
  readonly namespace: string;
  readonly script: string;
  readonly version: VersionRecord;
  /** null: the script has no Durable Objects, and no Workflows that run. */
  readonly objects: ObjectHome | null;
  /** Of the classes that it is bound to, by key; one that is gone is missing. */
  readonly classOwners: Readonly<
    Record<string, { readonly script: string; readonly className: string }>
  >;
}

/** Where a function runs, and what it did for it. */
export interface PlacementRecord {
  readonly versionId: string;
  readonly place: Place;
  readonly trust: TrustRecord;
  /** The run of clean invocations under way; 0 once nothing depends on it any more. */
  readonly cleanInvocations: number;
}

/** Limits as somebody set them, and as they hold. */
export interface LimitRecord {
  readonly limits: LimitSettings;
  readonly effective: Limits;
}

/** How a new version gets its bindings. */
export type BindingChange =
  /** An upload: `bindings`, plus those of the version before whose type is in `keepTypes`. */
  | {
      readonly mode: "replace";
      readonly bindings: readonly UploadedBinding[];
      readonly keepTypes: readonly string[];
      /** An `inherit` that finds nothing: true fails, false drops it (as Cloudflare does). */
      readonly strict: boolean;
    }
  | { readonly mode: "keep" }
  /** Single bindings by name; null removes. */
  | { readonly mode: "secrets"; readonly secrets: Readonly<Record<string, string | null>> };

/**
 * A new version of a script. Applied in one transaction on top of the version that is newest then, deployed or not.
 */
export interface Release {
  readonly namespaceId: string;
  readonly script: string;
  readonly versionId: string;
  /** It gets all traffic. False: it is only uploaded, to a script that there is. */
  readonly deploy: boolean;
  /** null: that of the version before. */
  readonly code: CodeRecord | null;
  /** With new code: fails with `newest-not-deployed` as what keeps its code does. */
  readonly keepsSettings?: true;
  /** Fails with `changed-meanwhile` if the version before does not have this blob. */
  readonly basedOnBlob?: string;
  readonly bindings: BindingChange;
  /** Absent members are kept. */
  readonly settings: Partial<VersionSettings>;
  readonly scriptSettings: Partial<ScriptSettings>;
  readonly annotations: Readonly<Record<string, string>>;
  /** null: none. Absent: those of the version before. */
  readonly assets?: AssetsRecord | null;
  /** Of classes of Durable Objects. Only with a deploy. */
  readonly classes?: ObjectMigrations | DeclaredClasses;
  readonly author: string;
  readonly source: string;
}

/** What gets the traffic of a script from now on. */
export interface DeploymentChange extends Pick<
  DeploymentRecord,
  "shares" | "annotations" | "author" | "source"
> {}

/** A change that is stored. It reaches the edges with `settle(generation)`. */
export interface Stored<T> {
  readonly value: T;
  readonly generation: number;
}
