/**
 * A bundle: one version of a script, complete enough to load. The hub sends it to an edge or cell
 * on that isolate's cold start, and to the trial cell before a version goes live.
 *
 * On the wire and in the blob store a bundle is one buffer, so that nothing is base64-encoded:
 *
 *   4 bytes   length of the header, unsigned, little-endian
 *   N bytes   header: JSON of `Bundle` with each module's `content` replaced by its `size`
 *   rest      the contents of the modules, one after the other, in the header's order
 */

import type { ObjectHome } from "./objects.ts";
import type { OutboundWorker } from "./outbound.ts";
import type { StoreKind } from "./store.ts";

export const MODULE_TYPES = ["esm", "cjs", "text", "data", "wasm", "source-map"] as const;
export type ModuleType = (typeof MODULE_TYPES)[number];

export interface BundleModule {
  /** The specifier it is imported by, exactly as uploaded, such as `./a1b2-note.txt`. */
  readonly name: string;
  readonly type: ModuleType;
  readonly content: Uint8Array;
}

/**
 * A value of the function's `env`. `module` exists for service-worker syntax only. What follows `module` are objects
 * with methods: the process that loads the function makes them.
 */
export type EnvValue =
  | { readonly type: "value"; readonly value: unknown }
  | { readonly type: "module"; readonly module: string; readonly as: "wasm" | "text" | "data" }
  | WorkflowValue
  | ServiceValue
  | DispatchNamespaceValue
  | RateLimitValue
  | AnalyticsValue
  | AssetsValue
  | StoreValue
  | DurableObjectNamespaceValue;

/** What the process that holds the isolate makes an object of. */
export type BindingValue = Exclude<EnvValue, { type: "value" | "module" | "workflow" }>;

export function isBindingValue(value: EnvValue): value is BindingValue {
  return value.type !== "value" && value.type !== "module" && value.type !== "workflow";
}

/** A Workflow of the script itself (workflows.ts): the runtime's own binding in its cell; elsewhere, in trials, nothing. */
export interface WorkflowValue {
  readonly type: "workflow";
  /** Name of the Workflow. */
  readonly workflow: string;
}

/** Of what a cell may ask edges for. */
interface ForCells {
  /** Shows that an edge gave it to the cell (src/protocol/grants.ts). Absent: it is in no cell. */
  readonly grant?: string;
}

export interface AnalyticsValue extends ForCells {
  readonly type: "analytics";
  readonly dataset: string;
}

/** The static assets of a version: that which has the binding. */
export interface AssetsValue extends ForCells {
  readonly type: "assets";
  readonly versionId: string;
}

/** Another Worker. */
export interface ServiceValue extends ForCells {
  readonly type: "service";
  readonly namespace: string;
  readonly script: string;
  /** Absent: the default export. */
  readonly entrypoint?: string;
  /** What the callee finds as `ctx.props`. */
  readonly props?: Readonly<Record<string, unknown>>;
}

export interface DispatchNamespaceValue extends ForCells {
  readonly type: "dispatch-namespace";
  readonly namespace: string;
  /** Gets the fetches of the functions that are called through this binding. */
  readonly outbound?: OutboundWorker;
}

/** What functions keep, in the store process (store.ts). */
export interface StoreValue extends ForCells {
  readonly type: StoreKind;
  /** Of the resource. */
  readonly id: string;
  /** Name of the resource, for messages and for events that come from it. */
  readonly name: string;
  /** Of a queue: for messages without one of their own. */
  readonly delaySeconds?: number;
}

/** Durable Objects: of the script itself, or of another one of the same namespace. */
export interface DurableObjectNamespaceValue extends ForCells {
  readonly type: "durable-object-namespace";
  readonly namespace: string;
  /** Name of the script that has the class. */
  readonly owner: string;
  readonly className: string;
  /** Of the class (objects.ts). */
  readonly key: string;
}

export interface RateLimitValue extends ForCells {
  readonly type: "rate-limit";
  /** Bindings of one account that have the same id share their counters. */
  readonly id: string;
  /** Calls with the same key within a period. */
  readonly limit: number;
  readonly periodSeconds: 10 | 60;
}

export interface Bundle {
  /** UUID. Also the key under which a loader holds the isolate. */
  readonly versionId: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  /** `service-worker`: the main module is a classic script that calls `addEventListener`. */
  readonly syntax: "modules" | "service-worker";
  /** Name of the module to start from; one of `modules`. */
  readonly mainModule: string;
  readonly modules: readonly BundleModule[];
  /** Bindings by name. Secrets are in the clear here: a bundle with `env` is never stored. */
  readonly env: Readonly<Record<string, EnvValue>>;
  /** Its script has classes of Durable Objects. */
  readonly objects?: ObjectHome;
}

type Header = Omit<Bundle, "modules"> & {
  readonly modules: readonly { name: string; type: ModuleType; size: number }[];
};

export function encodeBundle(bundle: Bundle): Uint8Array {
  const header: Header = {
    ...bundle,
    modules: bundle.modules.map(({ name, type, content }) => ({
      name,
      type,
      size: content.byteLength,
    })),
  };
  const head = new TextEncoder().encode(JSON.stringify(header));
  const size = bundle.modules.reduce((sum, module) => sum + module.content.byteLength, 0);
  const buffer = new Uint8Array(4 + head.byteLength + size);
  new DataView(buffer.buffer).setUint32(0, head.byteLength, true);
  buffer.set(head, 4);
  let offset = 4 + head.byteLength;
  for (const { content } of bundle.modules) {
    buffer.set(content, offset);
    offset += content.byteLength;
  }
  return buffer;
}

/** The modules' contents are views into `buffer`, not copies. Throws on a truncated buffer. */
export function decodeBundle(buffer: Uint8Array): Bundle {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const headLength = view.getUint32(0, true);
  const head = buffer.subarray(4, 4 + headLength);
  const header = JSON.parse(new TextDecoder().decode(head)) as Header;
  let offset = 4 + headLength;
  const modules = header.modules.map(({ name, type, size }) => {
    const content = buffer.subarray(offset, offset + size);
    if (content.byteLength !== size) throw new Error(`bundle ends inside module ${name}`);
    offset += size;
    return { name, type, content };
  });
  return { ...header, modules };
}
