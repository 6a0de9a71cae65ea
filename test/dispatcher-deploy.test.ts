/** wrangler.toml at the root: the unmodified wrangler takes the dispatcher to Cloudflare as it is. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { unstable_readConfig as readConfig } from "wrangler";
import { wrangler } from "./wrangler.ts";

const ROOT = join(import.meta.dirname, "..");

test("wrangler accepts the dispatcher with all of its bindings", async () => {
  const outdir = await mkdtemp(join(tmpdir(), "skep-dispatcher-"));
  onTestFinished(() => rm(outdir, { recursive: true }));
  const { exitCode, output } = await wrangler(ROOT, {}, "deploy", "--dry-run", "--outdir", outdir);
  expect({ exitCode, output }).toMatchObject({ exitCode: 0 });
  expect(output).not.toMatch(/warning/i);
  expect(output).toMatch(/env\.DISPATCHER \(production\)\s+Dispatch Namespace/);
  expect(output).toMatch(/env\.METRICS \(FunctionMetrics\)\s+Durable Object/);
  const bundle = await readFile(join(outdir, "index.js"), "utf8");
  expect(bundle).toMatch(/export \{[^}]*\bFunctionMetrics\b/);
  // Cloudflare has no other modules than these; anything else would fail there, not here.
  const imports = [...bundle.matchAll(/^import .*?from "([^"]+)"/gm)].map(([, name]) => name);
  expect(new Set(imports)).toEqual(new Set(["cloudflare:workers"]));
});

test("the objects of METRICS keep their data in SQLite", () => {
  const { migrations, durable_objects } = readConfig({ config: join(ROOT, "wrangler.toml") });
  expect(durable_objects.bindings).toMatchObject([
    { name: "METRICS", class_name: "FunctionMetrics" },
  ]);
  expect(migrations).toMatchObject([{ new_sqlite_classes: ["FunctionMetrics"] }]);
});
