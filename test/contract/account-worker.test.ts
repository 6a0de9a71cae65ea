/**
 * The contract against the real platform, with the probe as a Worker of the account that has a binding to the
 * dispatch namespace: a dispatcher of the operator's own, in a cell as all Workers of accounts.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { InlineScript } from "../../src/testing/scripts/source.ts";
import { startPlatform } from "../platform.ts";
import { describeDispatchNamespace } from "./dispatch-namespace.ts";
import { toForm } from "./server-form.ts";

/** Every request is for the probe, since WebSocket clients do not know its host name. */
const DISPATCHER = `
  export default {
    fetch: (request, env) => env.NAMESPACES.get("workers", "route").get("probe").fetch(request),
  };`;

for (const isolation of ["trusted", "shared"]) {
  describeDispatchNamespace(`in a Worker of an account (${isolation})`, async (scripts) => {
    const directory = await mkdtemp(join(tmpdir(), "skep-dispatcher-"));
    const dispatcher = join(directory, "dispatcher.js");
    await writeFile(dispatcher, DISPATCHER);
    const platform = await startPlatform({
      args: ["--edges", "2", "--isolation", isolation, "--dispatcher", dispatcher],
    });
    const deploy = (name: string, script: InlineScript) =>
      platform.deploy(name, toForm(name, script));
    for (const [name, script] of Object.entries(scripts)) await deploy(name, script);
    const source = await readFile(join(import.meta.dirname, "probe.js"), "utf8");
    const form = new FormData();
    const bindings = [{ type: "dispatch_namespace", name: "DISPATCHER", namespace: "production" }];
    const metadata = {
      main_module: "probe.js",
      compatibility_date: "2026-11-01",
      bindings,
      limits: { subrequests: 1000 },
    };
    form.set("metadata", JSON.stringify(metadata));
    const type = "application/javascript+module";
    form.set("probe.js", new File([source], "probe.js", { type }));
    const response = await platform.api("PUT", "/workers/scripts/probe", form);
    if (!response.ok) throw new Error(await response.text());
    return {
      url: platform.wranglerEnv.SKEP_URL,
      deploy,
      stop: async () => {
        await platform.stop();
        await rm(directory, { recursive: true });
      },
    };
  });
}
