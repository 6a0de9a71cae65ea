/**
 * Bundles each folder of workers/ the way wrangler does, and writes what wrangler would upload, so that a
 * first start can deploy the examples where wrangler's newer Node is not there yet:
 *
 *   <outDir>/<name>/metadata.json   the upload's `metadata` part
 *   <outDir>/<name>/modules.json    ExampleModule[]: the module parts, main module first
 *   <outDir>/<name>/<file>          their contents
 *
 * Understands what the examples' wrangler.toml use (name, main, compatibility_*) and refuses the rest.
 */
import { build } from "esbuild";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { parse } from "smol-toml";

export interface ExampleModule {
  /** The specifier by which it is imported; also the name of its multipart part. */
  readonly name: string;
  /** Content type of its part. */
  readonly type: string;
  /** Its file beside modules.json. */
  readonly file: string;
}

interface ExampleConfig {
  readonly name: string;
  readonly main: string;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".js": "application/javascript+module",
  ".wasm": "application/wasm",
};

const KNOWN_KEYS = new Set(["name", "main", "compatibility_date", "compatibility_flags"]);

/** Returns the names of the examples it wrote, sorted. */
export async function buildExamples(outDir: string): Promise<string[]> {
  const root = join(import.meta.dirname, "workers");
  const entries = await readdir(root, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  await rm(outDir, { recursive: true, force: true });
  return Promise.all(folders.sort().map((folder) => buildExample(join(root, folder), outDir)));
}

async function buildExample(folder: string, outDir: string): Promise<string> {
  const config = readConfig(
    join(folder, "wrangler.toml"),
    await readFile(join(folder, "wrangler.toml"), "utf8"),
  );
  const out = join(outDir, config.name);
  const { metafile } = await build({
    entryPoints: { index: join(folder, config.main) },
    outdir: out,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    // Stays an import of its own: the runtime compiles it before the first request.
    loader: { ".wasm": "copy" },
    assetNames: "[hash]-[name]",
    metafile: true,
    logLevel: "warning",
  });
  const modules = Object.keys(metafile.outputs).map(describeModule).sort(mainFirst);
  await mkdir(out, { recursive: true });
  await writeJson(join(out, "metadata.json"), {
    main_module: "index.js",
    bindings: [],
    compatibility_date: config.compatibilityDate,
    compatibility_flags: config.compatibilityFlags,
  });
  await writeJson(join(out, "modules.json"), modules);
  return config.name;
}

function describeModule(path: string): ExampleModule {
  const file = basename(path);
  const type = CONTENT_TYPES[extname(file)];
  if (!type) throw new Error(`${path}: no content type is known for ${extname(file)} modules`);
  return { name: file === "index.js" ? file : `./${file}`, type, file };
}

function mainFirst(a: ExampleModule, b: ExampleModule): number {
  return Number(b.file === "index.js") - Number(a.file === "index.js");
}

function readConfig(path: string, text: string): ExampleConfig {
  const config = parse(text);
  for (const key of Object.keys(config)) {
    if (!KNOWN_KEYS.has(key)) throw new Error(`${path}: ${key} is not supported in an example`);
  }
  const string = (key: string): string => {
    const value = config[key];
    if (typeof value !== "string") throw new Error(`${path}: ${key} must be a string`);
    return value;
  };
  const flags = config.compatibility_flags ?? [];
  if (!Array.isArray(flags)) throw new Error(`${path}: compatibility_flags must be a list`);
  return {
    name: string("name"),
    main: string("main"),
    compatibilityDate: string("compatibility_date"),
    compatibilityFlags: flags.map(String),
  };
}

function writeJson(path: string, value: unknown): Promise<void> {
  return writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}
