/** `skep start`: runs a platform in the foreground until it is told to stop. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { readConfig, type Surroundings } from "../supervisor/config.ts";
import { FIRST_NAMESPACE, Platform } from "../supervisor/platform.ts";
import { describeLayers } from "../supervisor/sandbox/layers.ts";
import { StartError } from "../supervisor/start-error.ts";
import { exportLines } from "./env.ts";
import { deployExample, listExamples } from "./examples.ts";
import type { RunningPlatform, Values } from "./running-platform.ts";

export async function start(values: Values, around: Surroundings): Promise<number> {
  const config = readConfig(values, around);
  const dist = findDist();
  const stopping = new StopSignals();
  const platform = await Platform.start(config, {
    workers: join(dist, "workers"),
    output: (line, stream) => process[stream].write(`${line}\n`),
    signal: stopping.first,
  });
  const running = { state: platform.state("ready"), token: platform.token };
  const examples = platform.isFirstStart
    ? await deployExamples(running, join(dist, "examples"))
    : [];
  platform.markReady();
  process.stdout.write(banner(running, examples, describeLayers(platform.layers)));

  await once(stopping.first);
  process.stdout.write("\nStopping; requests that run may finish. Once more to stop at once.\n");
  stopping.second.addEventListener("abort", () => {
    platform.kill();
    process.exit(FORCED);
  });
  await platform.stop();
  return 0;
}

/** As shells report a program that was ended by Ctrl-C. */
const FORCED = 128 + 2;

/** A first signal to stop, and a second one from somebody who does not want to wait. */
class StopSignals {
  readonly #first = new AbortController();
  readonly #second = new AbortController();
  readonly first = this.#first.signal;
  readonly second = this.#second.signal;

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        const controller = this.first.aborted ? this.#second : this.#first;
        controller.abort(new StartError(`stopped by ${signal} before the platform was ready`));
      });
    }
  }
}

function once(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** The names of those that are deployed. One that fails is reported, and does not keep the platform down. */
async function deployExamples(platform: RunningPlatform, folder: string): Promise<string[]> {
  const names = await listExamples(folder);
  const deployed = await Promise.all(
    names.map(async (name) => {
      try {
        await deployExample(platform, folder, FIRST_NAMESPACE, name);
        return name;
      } catch (error) {
        process.stderr.write(`skep: the example ${name} was not deployed: ${String(error)}\n`);
        return [];
      }
    }),
  );
  return deployed.flat();
}

function banner(platform: RunningPlatform, examples: readonly string[], sandbox: string): string {
  const { apiUrl, httpUrl, httpsUrl } = platform.state;
  const width = Math.max(...examples.map((name) => functionUrl(httpUrl, name).length));
  return [
    "",
    "Skep is ready.",
    "",
    ...(examples.length > 0 ? ["  Examples to try:"] : []),
    ...examples.map(
      (name) => `    ${functionUrl(httpUrl, name).padEnd(width)}  ${functionUrl(httpsUrl, name)}`,
    ),
    ...(examples.length > 0 ? [""] : []),
    `  Functions  ${functionUrl(httpUrl, "<script>", "<namespace>")}`,
    `  API        ${apiUrl}/client/v4`,
    `  Sandbox    ${sandbox}`,
    "",
    "  To deploy with wrangler (skep env prints these lines again):",
    ...exportLines(platform).map((line) => `    ${line}`),
    "",
    "  HTTPS uses a local CA; skep ca tells how to trust it. Ctrl-C stops the platform.",
    "",
    "",
  ].join("\n");
}

function functionUrl(baseUrl: string, script: string, namespace: string = FIRST_NAMESPACE): string {
  return `${baseUrl.replace("://", `://${script}.${namespace}.`)}/`;
}

/** The build output: this file's own folder once it is bundled, else `dist/` of the package around it. */
function findDist(): string {
  let folder = import.meta.dirname;
  if (existsSync(join(folder, "workers"))) return folder;
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) {
    folder = dirname(folder);
  }
  return join(folder, "dist");
}
