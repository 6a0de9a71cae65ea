/** What the supervisor asks of the hub, over `admin.sock` (src/protocol/hub.ts). */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { Bootstrap } from "../protocol/hub.ts";
import { registryOf } from "../registry/client.ts";
import type { HubEnv } from "./env.ts";
import { hostnames } from "./hostnames.ts";

export class AdminGate extends WorkerEntrypoint<HubEnv> {
  override async fetch(request: Request): Promise<Response> {
    const call = `${request.method} ${new URL(request.url).pathname}`;
    const registry = registryOf(this.env);
    if (call === "POST /bootstrap") {
      return Response.json(await registry.bootstrap(await request.json<Bootstrap>()));
    }
    if (call === "GET /hostnames") {
      const [names, { routes }] = await Promise.all([
        registry.namespaceNames(),
        registry.allRoutes(),
      ]);
      const patterns = routes.map(({ pattern }) => pattern);
      return Response.json(hostnames(this.env.PLATFORM.baseDomain, names, patterns));
    }
    return new Response(`no such call: ${call}`, { status: 404 });
  }
}
