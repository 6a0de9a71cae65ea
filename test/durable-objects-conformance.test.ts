/**
 * Durable Objects against Miniflare's: the same cases, the same answers, errors included. On the platform they run twice: in
 * the script that has the classes, with the runtime's own bindings, and in another one that is bound to them.
 */
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { build } from "esbuild";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";

const COMPATIBILITY_DATE = "2026-11-01";
const CLASSES = { THINGS: "Thing", BARE: "Bare" } as const;

let miniflare: Miniflare;
let platform: Platform;

beforeAll(async () => {
  const source = await bundled();
  miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: source,
      compatibilityDate: COMPATIBILITY_DATE,
      durableObjects: {
        THINGS: { className: "Thing", useSQLite: true },
        BARE: { className: "Bare", useSQLite: true },
      },
    }),
  );
  platform = await startPlatform({ args: ["--edges", "1"] });
  const migrations = { new_tag: "v1", steps: [{ new_sqlite_classes: Object.values(CLASSES) }] };
  for (const script of ["alone", "owner"]) {
    await platform.deploy(script, upload(source, bindings(), { migrations }));
  }
  await platform.deploy("caller", upload(source, bindings("owner")));
}, 180_000);

afterAll(async () => {
  await miniflare?.dispose();
  await platform?.stop();
}, 60_000);

function bindings(script_name?: string): object[] {
  return Object.entries(CLASSES).map(([name, class_name]) => {
    const binding = { type: "durable_object_namespace", name, class_name };
    return script_name === undefined ? binding : { ...binding, script_name };
  });
}

function upload(source: string, bound: readonly object[], more: object = {}): FormData {
  const metadata = {
    main_module: "index.js",
    compatibility_date: COMPATIBILITY_DATE,
    bindings: bound,
    ...more,
  };
  const form = new FormData();
  form.set("metadata", JSON.stringify(metadata));
  form.set("index.js", new File([source], "index.js", { type: "application/javascript+module" }));
  return form;
}

async function bundled(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "conformance/durable-objects-worker.ts")],
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
    external: ["cloudflare:*"],
  });
  return outputFiles[0]?.text ?? "";
}

type Ask = (path: string) => Promise<unknown>;

const onMiniflare: Ask = async (path) =>
  (await miniflare.dispatchFetch(`http://cases${path}`)).json();
const onPlatform =
  (script: string): Ask =>
  async (path) =>
    (await platform.fetch(script, path)).json();

test("every case is answered as Miniflare answers it", { timeout: 240_000 }, async () => {
  const names = (await onMiniflare("/")) as string[];
  const counts = { own: 0, bound: 0 };
  for (const name of names) {
    const path = `/${encodeURIComponent(name)}`;
    const expected = await onMiniflare(path);
    const own = await onPlatform("alone")(path);
    expect.soft(own, `in its own script: ${name}`).toEqual(expected);
    if (JSON.stringify(own) === JSON.stringify(expected)) counts.own++;
    const bound = await onPlatform("caller")(path);
    expect.soft(bound, `from another script: ${name}`).toEqual(expected);
    if (JSON.stringify(bound) === JSON.stringify(expected)) counts.bound++;
  }
  console.log(`durable objects: ${names.length} cases, own ${counts.own}, bound ${counts.bound}`);
});
