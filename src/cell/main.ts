/**
 * The Worker of a cell process. Cells run tenants' isolates and nothing else; today the one cell is the
 * trial cell, which loads each new version once before it goes live.
 */
import { decodeBundle } from "../protocol/bundle.ts";
import { tryStart } from "./trial.ts";

interface CellEnv {
  readonly LOADER: WorkerLoader;
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (request.method !== "POST" || pathname !== "/trial") {
      return new Response(`no such call: ${request.method} ${pathname}`, { status: 404 });
    }
    const bundle = decodeBundle(new Uint8Array(await request.arrayBuffer()));
    return Response.json(await tryStart(bundle, env.LOADER));
  },
} satisfies ExportedHandler<CellEnv>;
