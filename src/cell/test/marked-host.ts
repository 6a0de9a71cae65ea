/**
 * Holds marked isolates whose logs are kept, for tests:
 *
 *   POST /load?token=            encoded Bundle -> what it offers
 *   any request with x-version   the function's answer
 *   GET  /logs?version=          -> string[], the texts it logged so far
 */
import { env as bindings, exports, WorkerEntrypoint } from "cloudflare:workers";
import { decodeBundle } from "../../protocol/bundle.ts";
import { ready } from "../control.ts";
import { toWorkerCode } from "../worker-code.ts";

const { LOADER } = bindings as unknown as { readonly LOADER: WorkerLoader };
const logs = new Map<string, string[]>();

interface TailProps {
  readonly version: string;
}

export class Tail extends WorkerEntrypoint<unknown, TailProps> {
  override tail(events: TraceItem[]): void {
    const kept = logs.get(this.ctx.props.version);
    for (const event of events) for (const { message } of event.logs) kept?.push(String(message));
  }
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const version = request.headers.get("x-version");
    if (version !== null) {
      return LOADER.get(version, () => Promise.reject(new Error("not loaded")))
        .getEntrypoint()
        .fetch(request);
    }
    if (pathname === "/logs") return Response.json(logs.get(searchParams.get("version") ?? ""));
    const bundle = decodeBundle(new Uint8Array(await request.arrayBuffer()));
    const { versionId } = bundle;
    logs.set(versionId, []);
    const own = exports as unknown as { Tail(options: { props: TailProps }): Fetcher };
    const worker = LOADER.get(versionId, () => ({
      ...toWorkerCode(bundle, null, true),
      tails: [own.Tail({ props: { version: versionId } })],
    }));
    return Response.json(await ready(worker, searchParams.get("token") ?? undefined));
  },
} satisfies ExportedHandler;
