/** The contract against `skep/testing` in Miniflare. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { deploy, dispatchNamespaces } from "../../src/testing/index.ts";
import { describeDispatchNamespace } from "./dispatch-namespace.ts";

describeDispatchNamespace("in Miniflare", async (scripts) => {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: true,
      script: await readFile(join(import.meta.dirname, "probe.js"), "utf8"),
      compatibilityDate: "2026-11-01",
      // User Workers that throw are reported at length otherwise.
      handleStructuredLogs: () => {},
      ...dispatchNamespaces({ DISPATCHER: { namespace: "production", scripts } }),
    }),
  );
  const { origin } = await miniflare.ready;
  const { DISPATCHER } = await miniflare.getBindings<{ DISPATCHER: object }>();
  return {
    url: origin,
    deploy: (name, script) => deploy(DISPATCHER, name, script),
    stop: () => miniflare.dispose(),
  };
});
