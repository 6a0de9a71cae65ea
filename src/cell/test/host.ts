/**
 * A process that holds isolates, for tests: takes bundles, calls them and tells what it holds.
 *
 *   POST /load?script=&minWarm=&variant=   encoded Bundle -> LoadTimes
 *   any request with x-invoke     InvokeOptions with a versionId, which is the id of an isolate, as JSON; an error is
 *                                 answered with its name
 *   POST /supersede?version=
 *   POST /sweep?aheadMs=          a sweep, so much later than now
 *   GET  /state                   -> HostState
 */
import { env as bindings, exports, waitUntil } from "cloudflare:workers";
import { decodeBundle } from "../../protocol/bundle.ts";
import {
  BEGINS,
  ENDS,
  ENTRY_WORDS,
  HEADER_WORDS,
  UNDER_WAY,
  wordsUuid,
} from "../../protocol/ledger.ts";
import type { Variant } from "../../protocol/outbound.ts";
import { Isolates, type InvokeOptions } from "../isolates.ts";
import { FixedKeepAlive } from "../keep-alive.ts";
import { Ledger } from "../ledger.ts";
import type { OutboundProps } from "../outbound.ts";

export { Outbound } from "../outbound.ts";

interface Env {
  readonly LOADER: WorkerLoader;
  readonly MAX_ISOLATES?: number;
  readonly KEEP_ALIVE_MS?: number;
}

export interface HostState {
  readonly size: number;
  readonly begins: number;
  readonly ends: number;
  /** By version. */
  readonly underWay: Readonly<Record<string, number>>;
}

const env = bindings as unknown as Env;
const ledger = new Ledger();
const isolates = new Isolates({
  loader: env.LOADER,
  ledger,
  keepAlive: new FixedKeepAlive(env.KEEP_ALIVE_MS),
  background: (task) => waitUntil(task),
  outbound: (props) =>
    (exports as unknown as { Outbound(o: { props: OutboundProps }): Fetcher }).Outbound({ props }),
  maxIsolates: env.MAX_ISOLATES,
});

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const text = request.headers.get("x-invoke");
    if (text !== null) return invoke(request, JSON.parse(text));
    switch (pathname) {
      case "/load": {
        const bundle = decodeBundle(new Uint8Array(await request.arrayBuffer()));
        const script = searchParams.get("script") ?? "";
        const minWarm = Number(searchParams.get("minWarm"));
        const text = searchParams.get("variant");
        const variant = text === null ? undefined : (JSON.parse(text) as Variant);
        const of = { namespace: "production", script, minWarm, variant };
        try {
          return Response.json(
            await isolates.load(bundle.versionId, () => Promise.resolve(bundle), of),
          );
        } catch (error) {
          return failure(error);
        }
      }
      case "/supersede":
        isolates.supersede(searchParams.get("version") ?? "");
        return new Response();
      case "/sweep":
        await isolates.sweep(Date.now() + Number(searchParams.get("aheadMs")));
        return new Response();
      default:
        return Response.json(state());
    }
  },
} satisfies ExportedHandler<Env>;

async function invoke(
  outer: Request,
  { versionId, ...options }: InvokeOptions & { versionId: string },
): Promise<Response> {
  const headers = new Headers(outer.headers);
  headers.delete("x-invoke");
  try {
    const answer = isolates.invoke(versionId, new Request(outer, { headers }), options);
    return (await answer) ?? new Response("not loaded", { status: 404 });
  } catch (error) {
    return failure(error);
  }
}

function failure(error: unknown): Response {
  const { name, message, limit } = error as Error & { limit?: string };
  return Response.json({ name, message, limit }, { status: 500, headers: { "x-failed": "1" } });
}

function state(): HostState {
  const words = new Int32Array(ledger.buffer);
  const underWay: Record<string, number> = {};
  for (let entry = HEADER_WORDS; entry < words.length; entry += ENTRY_WORDS) {
    const versionId = wordsUuid([...words.subarray(entry, entry + 4)]);
    if (words[entry] !== 0) underWay[versionId] = words[entry + UNDER_WAY] ?? 0;
  }
  const [begins = 0, ends = 0] = [words[BEGINS], words[ENDS]];
  return { size: isolates.size, begins, ends, underWay };
}
