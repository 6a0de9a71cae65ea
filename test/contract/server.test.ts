/**
 * The contract against the real platform, with the probe as its dispatcher. With one edge every proven function is
 * at home where its requests arrive; with three, most first calls go to another edge; newcomers are in cells.
 */
import { join } from "node:path";
import type { InlineScript } from "../../src/testing/scripts/source.ts";
import { startPlatform } from "../platform.ts";
import { describeDispatchNamespace } from "./dispatch-namespace.ts";
import { toForm } from "./server-form.ts";

const SETTINGS = [
  { edges: "1", isolation: "trusted" },
  { edges: "3", isolation: "trusted" },
  { edges: "2", isolation: "shared" },
  { edges: "2", isolation: "dedicated" },
];

for (const { edges, isolation } of SETTINGS) {
  describeDispatchNamespace(`on a Skep server (${isolation}, edges: ${edges})`, async (scripts) => {
    const dispatcher = join(import.meta.dirname, "probe.js");
    const platform = await startPlatform({
      args: ["--dispatcher", dispatcher, "--edges", edges, "--isolation", isolation],
    });
    const deploy = (name: string, script: InlineScript) =>
      platform.deploy(name, toForm(name, script));
    for (const [name, script] of Object.entries(scripts)) await deploy(name, script);
    return {
      url: platform.wranglerEnv.SKEP_URL,
      deploy,
      stop: async () => {
        await platform.stop();
      },
    };
  });
}
