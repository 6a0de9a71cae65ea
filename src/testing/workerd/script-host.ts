/**
 * The Worker beside a dispatcher that holds the scripts of one dispatch namespace and runs its outbound
 * Worker. To the binding (namespace-binding.ts) it is what the hub is to an edge: it answers the same
 * calls (protocol/hub.ts). Scripts that are deployed while it runs are gone when Miniflare restarts.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { toWorkerCode } from "../../cell/worker-code.ts";
import { decodeBundle, type EnvValue } from "../../protocol/bundle.ts";
import type { ScriptState } from "../../protocol/routing.ts";
import type { PackedNamespace, PackedScript } from "../scripts/packed.ts";

interface Env {
  readonly NAMESPACE: PackedNamespace;
  readonly LOADER: WorkerLoader;
}

/** Values for the parameters of an outbound Worker. */
export type OutboundParameters = Readonly<Record<string, unknown>>;

/** What `ctx.exports` holds for this Worker. */
interface OwnExports {
  Outbound(options: { props: { parameters: OutboundParameters } }): Fetcher;
}

let generation = 0;
const versions = new Map<string, string | null>();
/** Every version there was: a load may be under way while the next one is deployed. */
const bundles = new Map<string, Uint8Array>();

function add(name: string, { versionId, bundle }: PackedScript): void {
  bundles.set(versionId, fromBase64(bundle));
  versions.set(name, versionId);
  generation++;
}

let isFilled = false;

/** What Miniflare's options name, once. */
function fill({ scripts }: PackedNamespace): void {
  if (isFilled) return;
  isFilled = true;
  for (const [name, script] of Object.entries(scripts)) add(name, script);
}

export class ScriptHost extends WorkerEntrypoint<Env> {
  override async fetch(request: Request): Promise<Response> {
    fill(this.env.NAMESPACE);
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/resolve") {
      const script = searchParams.get("script") ?? "";
      const { namespace } = this.env.NAMESPACE;
      const versionId = versions.get(script) ?? null;
      return Response.json({ generation, namespace, script, versionId } satisfies ScriptState);
    }
    const bundle = bundles.get(pathname.slice("/bundles/".length));
    return bundle === undefined ? new Response(null, { status: 404 }) : new Response(bundle);
  }

  deploy(name: string, script: PackedScript): void {
    fill(this.env.NAMESPACE);
    add(name, script);
  }

  remove(name: string): void {
    fill(this.env.NAMESPACE);
    versions.delete(name);
    generation++;
  }

  /** Where the `fetch` of isolates goes whose dispatcher gave these parameters. */
  outbound(parameters: OutboundParameters): Fetcher {
    const own = this.ctx.exports as unknown as OwnExports;
    return own.Outbound({ props: { parameters } });
  }
}

/** The outbound Worker, loaded once for each set of parameters, which it finds in its `env`. */
export class Outbound extends WorkerEntrypoint<Env, { parameters: OutboundParameters }> {
  override async fetch(request: Request): Promise<Response> {
    const { outbound } = this.env.NAMESPACE;
    if (outbound === null) throw new Error("this dispatch namespace has no outbound Worker");
    const { parameters } = this.ctx.props;
    const { versionId, bundle } = outbound.script;
    const worker = this.env.LOADER.get(`${versionId}~${JSON.stringify(parameters)}`, () => {
      const decoded = decodeBundle(fromBase64(bundle));
      const env = { ...decoded.env, ...asEnv(parameters) };
      const { globalOutbound: _, ...code } = toWorkerCode({ ...decoded, env }, null);
      // Without `globalOutbound` it fetches from where this Worker does.
      return code;
    });
    return worker.getEntrypoint().fetch(request);
  }
}

function asEnv(parameters: OutboundParameters): Record<string, EnvValue> {
  const values = Object.entries(parameters);
  return Object.fromEntries(values.map(([name, value]) => [name, { type: "value", value }]));
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export default {} satisfies ExportedHandler<Env>;
