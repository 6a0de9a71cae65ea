/** The modules of an upload: types, completeness, size. */
import type { BundleModule, ModuleType } from "../../protocol/bundle.ts";
import type { Code } from "../../registry/blobs.ts";
import { ApiError } from "../errors.ts";
import type { ClearBinding } from "./binding.ts";

/** Content types without parameters. https://developers.cloudflare.com/workers/configuration/multipart-upload-metadata/ */
const TYPES: Readonly<Record<string, ModuleType>> = {
  "application/javascript+module": "esm",
  "text/javascript+module": "esm",
  "application/javascript": "cjs",
  "text/javascript": "cjs",
  "application/wasm": "wasm",
  "text/plain": "text",
  "application/octet-stream": "data",
  "application/source-map": "source-map",
};

/** The content type that a module is handed back with. */
export const CONTENT_TYPES: Readonly<Record<ModuleType, string>> = {
  esm: "application/javascript+module",
  cjs: "application/javascript",
  wasm: "application/wasm",
  text: "text/plain",
  data: "application/octet-stream",
  "source-map": "application/source-map",
};

/** Cloudflare's limit on its paid plan, after gzip. */
const MAX_COMPRESSED_BYTES = 10 * 1024 * 1024;

/** Parts of the form that are no modules. */
const METADATA_PART = /^(?:metadata|settings)(?:\[|$)/;

export async function readModules(form: FormData): Promise<BundleModule[]> {
  const modules: BundleModule[] = [];
  for (const [partName, part] of form.entries()) {
    if (METADATA_PART.test(partName)) continue;
    if (typeof part === "string") {
      throw new ApiError(
        "badBody",
        `The form part '${partName}' has no file name, so its content type is lost: send modules as files.`,
      );
    }
    const name = moduleName(partName, part.name);
    if (modules.some((module) => module.name === name)) {
      throw new ApiError("badBody", `More than one form part is named '${name}'.`);
    }
    const content = new Uint8Array(await part.arrayBuffer());
    modules.push({ name, type: moduleType(name, part.type), content });
  }
  return modules;
}

/** The SDK sends modules as `files[]` with a file name, or as `files[<name>]`. */
function moduleName(partName: string, fileName: string): string {
  const inBrackets = /^files\[(.*)\]$/.exec(partName)?.[1];
  if (inBrackets === undefined) return partName;
  return inBrackets === "" || /^\d+$/.test(inBrackets) ? fileName : inBrackets;
}

function moduleType(name: string, contentType: string): ModuleType {
  const essence = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  const type = TYPES[essence];
  if (type) return type;
  const why = essence.startsWith("text/x-python")
    ? "Python Workers are not supported by this platform"
    : `use one of ${Object.keys(TYPES).join(", ")}`;
  throw new ApiError(
    "badModuleType",
    `Module '${name}' has the unsupported Content-Type '${contentType}': ${why}.`,
  );
}

/** Which module to start from, as metadata or headers name it. */
export interface EntryPoint {
  readonly mainModule: string | undefined;
  readonly bodyPart: string | undefined;
}

export async function assembleCode(
  modules: readonly BundleModule[],
  { mainModule, bodyPart }: EntryPoint,
): Promise<Code> {
  const name = mainModule ?? bodyPart;
  if (!name) {
    throw new ApiError(
      "invalid",
      "The metadata names neither a main_module nor a body_part: one of them has to be the part to start from.",
    );
  }
  const main = modules.find((module) => module.name === name);
  if (!main) {
    throw new ApiError(
      "invalid",
      `The ${mainModule ? "main_module" : "body_part"} '${name}' is not among the uploaded parts${list(modules)}.`,
    );
  }
  if (mainModule && main.type !== "esm") {
    throw new ApiError("invalid", "Uncaught TypeError: Main module must be an ES module.");
  }
  if (!mainModule && main.type !== "cjs") {
    throw new ApiError(
      "invalid",
      `The body_part '${name}' must be a script of type application/javascript; an ES module is named by main_module.`,
    );
  }
  await refuseLargeCode(modules);
  return { syntax: mainModule ? "modules" : "service-worker", mainModule: name, modules };
}

function list(modules: readonly BundleModule[]): string {
  return modules.length === 0 ? "" : `: ${modules.map(({ name }) => name).join(", ")}`;
}

/** Bindings to parts exist for service-worker syntax only, and need their part. */
export function checkPartBindings(code: Code, bindings: readonly ClearBinding[]): void {
  for (const binding of bindings) {
    if (!("part" in binding)) continue;
    if (code.syntax === "modules") {
      throw new ApiError(
        "invalid",
        `binding ${binding.name} of type ${binding.type} is for service-worker syntax only; import the module instead.`,
      );
    }
    if (!code.modules.some(({ name }) => name === binding.part)) {
      throw new ApiError(
        "invalid",
        `binding ${binding.name} of type ${binding.type} names the part '${binding.part}', which is not among the uploaded parts${list(code.modules)}.`,
      );
    }
  }
}

/** Source maps do not count: they are not loaded. */
async function refuseLargeCode(modules: readonly BundleModule[]): Promise<void> {
  const counted = modules.filter(({ type }) => type !== "source-map");
  const rawBytes = counted.reduce((sum, { content }) => sum + content.byteLength, 0);
  // gzip never adds more than some bytes a block.
  if (rawBytes <= MAX_COMPRESSED_BYTES) return;
  const bytes = await gzipSize(counted.map(({ content }) => content));
  if (bytes > MAX_COMPRESSED_BYTES) {
    throw new ApiError(
      "scriptTooLarge",
      `Your Worker exceeded the size limit: ${bytes} bytes after compression, ${MAX_COMPRESSED_BYTES} are allowed.`,
    );
  }
}

async function gzipSize(contents: readonly Uint8Array[]): Promise<number> {
  const gzip = new CompressionStream("gzip");
  const written = writeAll(gzip.writable, contents);
  let size = 0;
  for await (const chunk of gzip.readable) size += chunk.byteLength;
  await written;
  return size;
}

async function writeAll(sink: WritableStream, contents: readonly Uint8Array[]): Promise<void> {
  const writer = sink.getWriter();
  for (const content of contents) await writer.write(content);
  await writer.close();
}
