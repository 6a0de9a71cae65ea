/** What the supervisor asks of the hub, over `admin.sock` (src/protocol/hub.ts). */
import { WorkerEntrypoint } from "cloudflare:workers";
import { encodeBundle } from "../protocol/bundle.ts";
import type { Bootstrap, BootstrapResult, Reseal, ResealResult } from "../protocol/hub.ts";
import type { Incident } from "../protocol/incident.ts";
import { makeBundle } from "../registry/bundle.ts";
import { registryOf } from "../registry/client.ts";
import { createSealer } from "../registry/seal.ts";
import type { HubEnv } from "./env.ts";
import { hostnames } from "./hostnames.ts";
import { addSecretKey, missingKeys, resealAll, secretKeys } from "./secret-keys.ts";
import { settledVersions } from "./settled-versions.ts";
import { statefulBundle } from "./stateful-bundle.ts";

export class AdminGate extends WorkerEntrypoint<HubEnv> {
  override async fetch(request: Request): Promise<Response> {
    const call = `${request.method} ${new URL(request.url).pathname}`;
    const registry = registryOf(this.env);
    if (call === "POST /bootstrap") {
      const { created } = await registry.bootstrap(await request.json<Bootstrap>());
      const missing = await missingKeys(registry, this.env);
      return Response.json({ created, missingKeys: missing } satisfies BootstrapResult);
    }
    if (call === "GET /hostnames") {
      const [names, { routes }] = await Promise.all([
        registry.namespaceNames(),
        registry.allRoutes(),
      ]);
      const patterns = routes.map(({ pattern }) => pattern);
      return Response.json(hostnames(this.env.PLATFORM.baseDomain, names, patterns));
    }
    if (call === "POST /reseal") {
      const { key } = await request.json<Reseal>();
      if (key !== null) addSecretKey(key);
      const resealed = await resealAll(registry, this.env);
      return Response.json({ resealed } satisfies ResealResult);
    }
    if (call.startsWith("GET /bundles/")) return this.#bundle(call.slice("GET /bundles/".length));
    if (call.startsWith("GET /objects/")) {
      const scriptId = call.slice("GET /objects/".length);
      return Response.json(await registry.statefulCellRequest(scriptId));
    }
    if (call === "POST /incident") return this.#incident(await request.json<Incident>());
    return new Response(`no such call: ${call}`, { status: 404 });
  }

  /** For a stateful cell. */
  async #bundle(versionId: string): Promise<Response> {
    const found = await registryOf(this.env).version(versionId);
    if (!found.ok) return new Response(`no version ${versionId}`, { status: 404 });
    const sealer = createSealer(secretKeys(this.env));
    const bundle = await makeBundle(found.value, this.env.BLOBS, sealer);
    return new Response(encodeBundle(statefulBundle(bundle)));
  }

  /** What cannot be pushed now is stored, and delivered by the Registry's alarm. */
  async #incident(incident: Incident): Promise<Response> {
    const registry = registryOf(this.env);
    const stored = await registry.incident(incident);
    if (!stored.ok) throw new Error(`incident refused: ${stored.failure.reason}`);
    settledVersions.forget(stored.value.value);
    const settled = await registry.settle(stored.value.generation);
    if (settled.ok) return new Response(null, { status: 204 });
    return new Response("stored, but not confirmed by the edges", { status: 503 });
  }
}
