/**
 * Deploys the examples that come with Skep, through the same API that wrangler uses. Each is a folder:
 *
 *   metadata.json   the upload's metadata
 *   modules.json    [{name, type, file}]: specifier, content type and file of each module
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { callApi } from "./api-client.ts";
import type { RunningPlatform } from "./running-platform.ts";

interface ExampleModule {
  readonly name: string;
  readonly type: string;
  readonly file: string;
}

/** Names of the examples, which are also their scripts' names; none if the build has none. */
export async function listExamples(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.flatMap((entry) => (entry.isDirectory() ? entry.name : [])).sort();
}

export async function deployExample(
  platform: RunningPlatform,
  folder: string,
  namespace: string,
  name: string,
): Promise<void> {
  const source = join(folder, name);
  const form = new FormData();
  form.set("metadata", await readFile(join(source, "metadata.json"), "utf8"));
  const modules = JSON.parse(
    await readFile(join(source, "modules.json"), "utf8"),
  ) as ExampleModule[];
  for (const module of modules) {
    const content = await readFile(join(source, module.file));
    form.set(module.name, new Blob([content], { type: module.type }), module.name);
  }
  await callApi(platform, "PUT", `/workers/dispatch/namespaces/${namespace}/scripts/${name}`, form);
}
