/**
 * Workflows of functions. The engine is the runtime's own (its bundled module `/workerd/workflows.js`) and runs in the
 * stateful cell of the script: each instance is a Durable Object of the engine's class, beside the script's own objects.
 */

/** A Workflow whose instances a script has. */
export interface Workflow {
  readonly name: string;
  /** As the script exports it now. */
  readonly className: string;
  readonly settings: WorkflowSettings;
}

/** As the engine takes them. */
export interface WorkflowSettings {
  /** The most steps of an instance. */
  readonly steps?: number;
  /** How long instances that have ended stay. */
  readonly retention?: { readonly success?: string | number; readonly error?: string | number };
}

/** The directory of a Workflow's instances among those of the script's classes: the runtime's name for it. */
export function instancesKey(workflow: string): string {
  return `${INSTANCES_KEY}${workflow}`;
}

export const INSTANCES_KEY = "miniflare-workflows-";

/** While the script's code runs, the engine sets its alarm no later than so far ahead: then it notices that it ended. */
export const WATCH_MS = 10 * 60 * 1000;

/** Bindings of the gate: a Workflow as functions have it, and its instances by their ids as objects. */
export function workflowBinding(workflow: string): string {
  return `WORKFLOW_${workflow}`;
}
export function instancesBinding(workflow: string): string {
  return `INSTANCES_${workflow}`;
}

/** `POST /workflows`, hub -> supervisor. */
export interface WorkflowRequest {
  readonly scriptId: string;
  readonly workflow: string;
  readonly call: WorkflowCall;
}

/** What can be done from outside of the script. */
export type WorkflowCall =
  | { readonly type: "list"; readonly offset: number; readonly limit: number }
  | { readonly type: "create"; readonly instances: readonly NewInstance[] }
  | { readonly type: "describe"; readonly id: string }
  | {
      readonly type: "change";
      readonly id: string;
      readonly to: InstanceChange;
      /** Of `restart`. */
      readonly from?: { readonly name: string; readonly count?: number; readonly type?: string };
      /** Of `terminate`. */
      readonly rollback?: boolean;
    }
  | {
      readonly type: "send";
      readonly id: string;
      readonly event: { readonly type: string; readonly payload: unknown };
    }
  | { readonly type: "delete"; readonly ids: readonly string[] };

export const INSTANCE_CHANGES = ["pause", "resume", "restart", "terminate"] as const;
export type InstanceChange = (typeof INSTANCE_CHANGES)[number];

export interface NewInstance {
  readonly id?: string;
  readonly params?: unknown;
  readonly retention?: {
    readonly successRetention?: string | number;
    readonly errorRetention?: string | number;
  };
}

/** `POST /workflows`, supervisor -> stateful cell: a list names the objects, of which there may be many. */
export interface WorkflowCellCall {
  readonly workflow: string;
  readonly call:
    | Exclude<WorkflowCall, { type: "list" }>
    | { readonly type: "list"; readonly objects: readonly string[] }
    /** Goes on with what a process before left in the midst of something. */
    | { readonly type: "wake"; readonly ids: readonly string[] };
}

/** `error`: in the engine's words, which it begins with a code in parentheses. */
export type WorkflowAnswer =
  | { readonly ok: true; readonly value: unknown; /** Of a list. */ readonly total?: number }
  | { readonly ok: false; readonly error: string };

export interface ListedInstance {
  readonly id: string;
  readonly status: string;
  /** ISO. */
  readonly createdOn: string;
}

export interface DescribedInstance {
  readonly status: string;
  readonly output: unknown;
  readonly error?: { readonly name: string; readonly message: string };
  /** What happened to it so far, oldest first, as the engine tells subscribers. */
  readonly events: readonly InstanceEvent[];
  /** There were more. */
  readonly isTruncated: boolean;
}

export interface InstanceEvent {
  readonly type: string;
  /** Unix milliseconds. */
  readonly timestamp: number;
  /** `<name>-<count>`. */
  readonly stepName?: string;
  readonly attempt?: number;
  readonly [detail: string]: unknown;
}
