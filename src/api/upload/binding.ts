/** The bindings of an upload: which types exist, what each needs, and which are refused by name. */
import * as z from "zod";
import { MAX_DELAY_SECONDS } from "../../protocol/queue.ts";
import { STORAGE_BINDING_TYPES } from "../../registry/records.ts";
import type { StorageBindingType, StoredBinding, UploadedBinding } from "../../registry/records.ts";
import { ApiError } from "../errors.ts";
import { validate } from "../json-body.ts";

/** As uploaded: a secret is still in the clear. */
export type ClearBinding =
  | Exclude<UploadedBinding, { type: "secret_text" | StorageBindingType }>
  | StorageReference
  | { readonly type: "secret_text"; readonly name: string; readonly text: string };

/** A binding to a resource, by the id (KV, D1) or the name (R2, queues) that the upload gives. */
export interface StorageReference {
  readonly type: StorageBindingType;
  readonly name: string;
  readonly reference: string;
  readonly deliveryDelay?: number;
}

/** What is nested deeper cannot be handed from process to process. */
const MAX_DEPTH = 100;

/** Cloudflare's limit for one variable or secret: 5 KB. */
const MAX_VALUE_BYTES = 5 * 1024;
const MAX_NAME_LENGTH = 255;

const name = z.string();
const reference = z.string().min(1, "names nothing");
const part = z.string().min(1, "names no part");

export const className = z
  .string()
  .regex(/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u, "is not the name of an exported class")
  .max(100, "is longer than 100 characters");

/** As the runtime takes them. */
const workflowName = z
  .string()
  .regex(
    /^[a-zA-Z0-9_][\w-]{0,63}$/,
    "is not 1 to 64 of A-Z, a-z, 0-9, _ and -, not beginning with -",
  );

const SUPPORTED = {
  plain_text: z.object({ type: z.literal("plain_text"), name, text: z.string() }),
  json: z.object({
    type: z.literal("json"),
    name,
    json: z.unknown().refine((value) => value !== undefined, "is missing"),
  }),
  secret_text: z.object({ type: z.literal("secret_text"), name, text: z.string() }),
  inherit: z
    .object({ type: z.literal("inherit"), name, old_name: z.string().optional() })
    .transform(({ old_name, ...rest }) => ({ ...rest, oldName: old_name ?? rest.name })),
  service: z
    .object({
      type: z.literal("service"),
      name,
      service: z.string().min(1, "names no Worker"),
      environment: z
        .literal("production", "may only be production: Workers have no environments")
        .nullish(),
      entrypoint: z
        .string()
        .regex(/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u, "is not the name of an exported class")
        .refine((entrypoint) => entrypoint !== "SkepControl", "is the platform's own")
        .nullish(),
      props: z.record(z.string(), z.unknown()).nullish(),
      cross_account_grant: z.undefined("is not supported by this platform").optional(),
    })
    .transform(({ type, name, service, entrypoint, props }) => ({
      type,
      name,
      service,
      ...(entrypoint && entrypoint !== "default" && { entrypoint }),
      ...(props && { props }),
    })),
  dispatch_namespace: z
    .object({
      type: z.literal("dispatch_namespace"),
      name,
      namespace: z.string().min(1, "names no dispatch namespace"),
      outbound: z
        .object({
          worker: z.object({
            service: z.string().min(1, "names no Worker"),
            environment: z.literal("production", "may only be production").nullish(),
          }),
          params: z
            .array(
              z.object({
                name: z.string().regex(/^[A-Za-z_$][\w$]*$/, "is not a name that can stand in env"),
              }),
            )
            .nullish(),
        })
        .nullish(),
    })
    .transform(({ type, name, namespace, outbound }) => ({
      type,
      name,
      namespace,
      ...(outbound && {
        outbound: {
          service: outbound.worker.service,
          params: (outbound.params ?? []).map((param) => param.name),
        },
      }),
    })),
  analytics_engine: z
    .object({
      type: z.literal("analytics_engine"),
      name,
      dataset: z
        .string()
        .regex(
          /^[A-Za-z_]\w{0,95}$/,
          "is not 1 to 96 of A-Z, a-z, 0-9 and _, not beginning with a digit",
        )
        .nullish(),
    })
    .transform(({ dataset, ...rest }) => ({ ...rest, dataset: dataset ?? rest.name })),
  ratelimit: z
    .object({
      type: z.literal("ratelimit"),
      name,
      namespace_id: z.union([z.string(), z.number().transform(String)]),
      simple: z.object({
        limit: z.coerce.number().int("is not a whole number").positive("is not more than 0"),
        period: z.coerce
          .number()
          .refine((period) => period === 10 || period === 60, "is neither 10 nor 60 seconds")
          .transform((period) => period as 10 | 60),
      }),
    })
    .transform(({ namespace_id: namespaceId, ...rest }) => ({ ...rest, namespaceId })),
  version_metadata: z.object({ type: z.literal("version_metadata"), name }),
  assets: z.object({ type: z.literal("assets"), name }),
  kv_namespace: z
    .object({ type: z.literal("kv_namespace"), name, namespace_id: reference })
    .transform(({ namespace_id, ...rest }) => ({ ...rest, reference: namespace_id })),
  r2_bucket: z
    .object({
      type: z.literal("r2_bucket"),
      name,
      bucket_name: reference,
      jurisdiction: z.undefined("is not supported: all data are on this platform").optional(),
    })
    .transform(({ type, name, bucket_name }) => ({ type, name, reference: bucket_name })),
  d1: z
    .object({ type: z.literal("d1"), name, id: reference })
    .transform(({ id, ...rest }) => ({ ...rest, reference: id })),
  queue: z
    .object({
      type: z.literal("queue"),
      name,
      queue_name: reference,
      delivery_delay: z.coerce
        .number()
        .int("is not a whole number of seconds")
        .min(0, "is less than 0")
        .max(MAX_DELAY_SECONDS, `is more than ${MAX_DELAY_SECONDS} seconds`)
        .optional(),
    })
    .transform(({ type, name, queue_name, delivery_delay }) => ({
      type,
      name,
      reference: queue_name,
      ...(delivery_delay !== undefined && { deliveryDelay: delivery_delay }),
    })),
  durable_object_namespace: z
    .object({
      type: z.literal("durable_object_namespace"),
      name,
      class_name: className,
      script_name: z.string().min(1, "names no Worker").nullish(),
      environment: z
        .literal("production", "may only be production: Workers have no environments")
        .nullish(),
      namespace_id: z.string().nullish(),
      dispatch_namespace: z
        .undefined(
          "cannot be chosen: Durable Objects are reached by Workers of the same dispatch namespace",
        )
        .optional(),
    })
    .transform(({ type, name, class_name, script_name }) => ({
      type,
      name,
      className: class_name,
      ...(script_name && { scriptName: script_name }),
    })),
  workflow: z
    .object({
      type: z.literal("workflow"),
      name,
      workflow_name: workflowName,
      class_name: className,
      script_name: z.string().min(1, "names no Worker").nullish(),
    })
    .transform(({ type, name, workflow_name, class_name, script_name }) => ({
      type,
      name,
      workflowName: workflow_name,
      className: class_name,
      ...(script_name && { scriptName: script_name }),
    })),
  wasm_module: z.object({ type: z.literal("wasm_module"), name, part }),
  text_blob: z.object({ type: z.literal("text_blob"), name, part }),
  data_blob: z.object({ type: z.literal("data_blob"), name, part }),
} as const;

/** By type, why; whatever is neither here nor above is refused without. */
const REFUSED: Readonly<Record<string, string>> = {
  hyperdrive:
    "this platform pools no database connections; fetch() an HTTP interface of the database.",
  worker_loader:
    "code that a function loads by itself would escape the limits, the metrics and the trial of a deploy. Upload it as a script into a dispatch namespace, and bind that.",
  mtls_certificate: "this platform keeps no client certificates.",
  send_email: "this platform sends no mail; call a mail service with fetch().",
  browser: "this platform runs no browsers.",
  ai: "this platform runs no models; call a model's HTTP interface with fetch().",
  vectorize: "this platform has no vector database.",
  secrets_store_secret: "there is no secrets store; use wrangler secret put.",
  tail_consumer: "name tail consumers in the configuration's tail_consumers.",
};

const head = z.object({ type: z.string(), name: z.string().optional() });

/** `root` is where the bindings came from, for messages: `metadata.bindings`. */
export function parseBindings(raw: readonly unknown[], root: string): ClearBinding[] {
  refuseUnsupported(raw, root);
  const bindings = raw.map((value, index) => parseBinding(value, `${root}[${index}]`));
  const names = new Set<string>();
  for (const { name } of bindings) {
    if (names.has(name)) {
      throw new ApiError("invalid", `${root}: more than one binding is named '${name}'`);
    }
    names.add(name);
  }
  return bindings;
}

/** All at once, so that nobody has to find them out one deploy after another. */
function refuseUnsupported(raw: readonly unknown[], root: string): void {
  const refused = raw
    .map((value, index) => validate(head, value, `${root}[${index}]`, "invalid"))
    .filter(({ name, type }) => name && !isSupported(type))
    .map(({ name, type }) => `binding ${name} of type ${type} is not supported${reasonOf(type)}`);
  if (refused.length > 0) throw new ApiError("invalid", refused);
}

function reasonOf(type: string): string {
  const reason = Object.hasOwn(REFUSED, type) ? REFUSED[type] : undefined;
  const supported = Object.keys(SUPPORTED).join(", ");
  return reason ? `: ${reason}` : ` by this platform. Supported types: ${supported}.`;
}

function parseBinding(raw: unknown, root: string): ClearBinding {
  const { type, name } = validate(head, raw, root, "invalid");
  if (!name) throw new ApiError("unnamedBinding", `${root} of type ${type} has no name`);
  if (!isSupported(type)) throw new Error(`${type} was not refused`);
  const binding: ClearBinding = validate(SUPPORTED[type], raw, root, "invalid");
  refuseLargeValue(binding);
  return binding;
}

function isSupported(type: string): type is keyof typeof SUPPORTED {
  return Object.hasOwn(SUPPORTED, type);
}

export function refuseLargeValue(binding: ClearBinding): void {
  const { length } = binding.name;
  if (length > MAX_NAME_LENGTH) {
    throw new ApiError(
      "invalid",
      `a binding of type ${binding.type} has a name of ${length} characters; it may have ${MAX_NAME_LENGTH}.`,
    );
  }
  if (binding.type === "json" && isDeeper(binding.json, MAX_DEPTH)) {
    throw new ApiError("invalid", `binding ${binding.name} is nested more than ${MAX_DEPTH} deep.`);
  }
  const bytes = new TextEncoder().encode(valueText(binding)).byteLength;
  if (bytes <= MAX_VALUE_BYTES) return;
  throw new ApiError(
    "bindingTooLarge",
    `binding ${binding.name} of type ${binding.type} has ${bytes} bytes; a variable or secret may have ${MAX_VALUE_BYTES}.`,
  );
}

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeper(inner, depth - 1));
}

function valueText(binding: ClearBinding): string {
  if (binding.type === "plain_text" || binding.type === "secret_text") return binding.text;
  if (binding.type === "json") return JSON.stringify(binding.json);
  return JSON.stringify(binding.type === "service" ? (binding.props ?? {}) : binding);
}

/** Bindings whose methods return at once are made inside the isolate, from the env that can be imported. */
export function refuseHiddenEnv(bindings: readonly ClearBinding[], flags: readonly string[]): void {
  if (!flags.includes("disallow_importable_env")) return;
  const made = bindings.find(({ type }) => MADE_INSIDE.has(type));
  if (made === undefined) return;
  throw new ApiError(
    "invalid",
    `binding ${made.name} of type ${made.type} does not work with the compatibility flag disallow_importable_env on this platform; leave the flag out.`,
  );
}

const MADE_INSIDE: ReadonlySet<string> = new Set([
  "dispatch_namespace",
  "analytics_engine",
  "durable_object_namespace",
  ...STORAGE_BINDING_TYPES,
]);

/** A stored binding as the API shows it: without the text of a secret. */
export function bindingToJson(binding: StoredBinding): unknown {
  switch (binding.type) {
    case "secret_text":
      return { type: binding.type, name: binding.name };
    case "service":
      return { ...binding, environment: "production" };
    case "dispatch_namespace": {
      const { outbound, ...rest } = binding;
      if (outbound === undefined) return rest;
      const { service, params } = outbound;
      const worker = { service, environment: "production" };
      return { ...rest, outbound: { worker, params: params.map((param) => ({ name: param })) } };
    }
    case "ratelimit": {
      const { namespaceId, ...rest } = binding;
      return { ...rest, namespace_id: namespaceId };
    }
    case "kv_namespace": {
      const { type, name, resourceId } = binding;
      return { type, name, namespace_id: resourceId };
    }
    case "r2_bucket": {
      const { type, name, resourceName } = binding;
      return { type, name, bucket_name: resourceName };
    }
    case "d1": {
      const { type, name, resourceId } = binding;
      return { type, name, id: resourceId };
    }
    case "queue": {
      const { type, name, resourceName, deliveryDelay } = binding;
      return {
        type,
        name,
        queue_name: resourceName,
        ...(deliveryDelay !== undefined && { delivery_delay: deliveryDelay }),
      };
    }
    case "durable_object_namespace": {
      const { type, name, className: class_name, scriptName, key } = binding;
      return {
        type,
        name,
        class_name,
        ...(scriptName !== undefined && { script_name: scriptName }),
        ...(key !== undefined && { namespace_id: key }),
      };
    }
    case "workflow": {
      const { type, name, workflowName: workflow_name, className: class_name } = binding;
      return { type, name, workflow_name, class_name };
    }
    case "plain_text":
    case "json":
    case "version_metadata":
    case "analytics_engine":
    case "assets":
    case "wasm_module":
    case "text_blob":
    case "data_blob":
      return binding;
  }
}
