/** The bindings of an upload: which types exist, what each needs, and which are refused by name. */
import * as z from "zod";
import type { StoredBinding, UploadedBinding } from "../../registry/records.ts";
import { ApiError } from "../errors.ts";
import { validate } from "../json-body.ts";

/** As uploaded: a secret is still in the clear. */
export type ClearBinding =
  | Exclude<UploadedBinding, { type: "secret_text" }>
  | { readonly type: "secret_text"; readonly name: string; readonly text: string };

/** What is nested deeper cannot be handed from process to process. */
const MAX_DEPTH = 100;

/** Cloudflare's limit for one variable or secret: 5 KB. */
const MAX_VALUE_BYTES = 5 * 1024;

const name = z.string();
const part = z.string().min(1, "names no part");

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
  version_metadata: z.object({ type: z.literal("version_metadata"), name }),
  wasm_module: z.object({ type: z.literal("wasm_module"), name, part }),
  text_blob: z.object({ type: z.literal("text_blob"), name, part }),
  data_blob: z.object({ type: z.literal("data_blob"), name, part }),
} as const;

const head = z.object({ type: z.string(), name: z.string().optional() });

/** `root` is where the bindings came from, for messages: `metadata.bindings`. */
export function parseBindings(raw: readonly unknown[], root: string): ClearBinding[] {
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

function parseBinding(raw: unknown, root: string): ClearBinding {
  const { type, name } = validate(head, raw, root, "invalid");
  if (!name) throw new ApiError("unnamedBinding", `${root} of type ${type} has no name`);
  if (!isSupported(type)) {
    throw new ApiError(
      "invalid",
      `binding ${name} of type ${type} is not supported by this platform. Supported types: ${Object.keys(SUPPORTED).join(", ")}.`,
    );
  }
  const binding: ClearBinding = validate(SUPPORTED[type], raw, root, "invalid");
  refuseLargeValue(binding);
  return binding;
}

function isSupported(type: string): type is keyof typeof SUPPORTED {
  return Object.hasOwn(SUPPORTED, type);
}

export function refuseLargeValue(binding: ClearBinding): void {
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
  return binding.type === "json" ? JSON.stringify(binding.json) : "";
}

/** A stored binding as the API shows it: without the text of a secret. */
export function bindingToJson(binding: StoredBinding): unknown {
  if (binding.type !== "secret_text") return binding;
  return { type: binding.type, name: binding.name };
}
