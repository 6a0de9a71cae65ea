/**
 * The dispatch namespace that a dispatcher finds in its `env` under Miniflare: a wrapped binding, which
 * runs inside the dispatcher's isolate. Behind it is the code of an edge, with ScriptHost for a hub and
 * no other edges.
 */
import { EdgeCalls } from "../../edge/call-edge.ts";
import { IncidentLog } from "../../edge/incident-log.ts";
import { HubClient } from "../../edge/hub-client.ts";
import { UnavailableError, workerNotFound } from "../../protocol/dispatch-errors.ts";
import { Isolates } from "../../cell/isolates.ts";
import { LruKeepAlive } from "../../cell/keep-alive.ts";
import { Ledger } from "../../cell/ledger.ts";
import { ScriptTable } from "../../namespace/script-table.ts";
import { createDispatchNamespace } from "../../namespace/user-worker.ts";
import { DEPLOY, REMOVE } from "../scripts/deploy.ts";
import type { PackedScript } from "../scripts/packed.ts";
import type { OutboundParameters, ScriptHost } from "./script-host.ts";

const SWEEP_INTERVAL_MS = 1_000;

/** The inner bindings; miniflare-plugin.ts configures them. */
interface InnerEnv {
  readonly host: Service<ScriptHost>;
  readonly loader: WorkerLoader;
  readonly namespace: string;
  /** null: there is no outbound Worker. */
  readonly parameters: readonly string[] | null;
}

export default function createBinding(env: InnerEnv): DispatchNamespace {
  const { host, namespace } = env;
  const hub = new HubClient(host, 0);
  const isolates = new Isolates({
    loader: loaderWithOutbound(env),
    ledger: new Ledger(),
    keepAlive: new LruKeepAlive(),
    // A binding has no `waitUntil`.
    background: undefined,
    outbound: () => null,
  });
  const scripts = new ScriptTable();
  const calls = new EdgeCalls({
    isolates,
    edgeIndex: 0,
    peers: [host],
    incidents: new IncidentLog(),
    load: ({ state }, id) =>
      isolates.load(id, () => hub.bundle(splitIsolateId(id).versionId), {
        namespace,
        script: state.script,
      }),
    // Every call asks the host anyway.
    refresh: () => Promise.resolve(),
  });

  let sweptMs = 0;
  /** An edge does this in a heartbeat; a binding has none, but it has requests. */
  const sweep = async (nowMs: number) => {
    if (nowMs - sweptMs < SWEEP_INTERVAL_MS) return;
    sweptMs = nowMs;
    await isolates.sweep(nowMs);
  };

  /** The outbound of an isolate is fixed when it is loaded, so each set of parameters has isolates of its own. */
  const dispatch = (parameters: OutboundParameters) => {
    const set = JSON.stringify(parameters);
    return createDispatchNamespace(async (call, request, facts) => {
      const { script, generation, versionId } = await hub.resolve(namespace, call.script);
      const id = versionId === null ? null : isolateId(versionId, set);
      const state = { namespace: set, script, generation, versionId: id };
      const { entry, leaves } = scripts.accept(state);
      for (const gone of leaves) isolates.supersede(gone);
      await sweep(Date.now());
      if (versionId === null) throw workerNotFound(namespace, script);
      const here = {
        entry,
        dispatch: call,
        via: [],
        request: withoutCf(request),
        signal: undefined,
        facts,
      };
      try {
        const response = await calls.call(here);
        if (response === undefined) throw new UnavailableError("there are no cells here");
        return response;
      } finally {
        facts.versionId = versionId;
      }
    });
  };
  const plain = dispatch({});
  const binding: DispatchNamespace = {
    get(script, args, options) {
      checkCompatibility();
      if (options?.outbound === undefined || env.parameters === null) {
        return plain.get(script, args, options);
      }
      const { outbound, ...rest } = options;
      return dispatch(declared(script, outbound, env.parameters)).get(script, args, rest);
    },
  };
  return Object.defineProperties(binding, {
    [DEPLOY]: { value: (name: string, script: PackedScript) => host.deploy(name, script) },
    [REMOVE]: { value: (name: string) => host.remove(name) },
  });
}

/**
 * Loads with the outbound Worker as the only way out, or, if there is none, with the dispatcher's own
 * way out, which is where Miniflare's `outboundService` takes effect.
 */
function loaderWithOutbound({ loader, host, parameters }: InnerEnv): WorkerLoader {
  const adapted: Pick<WorkerLoader, "get"> = {
    get: (name, getCode) =>
      loader.get(name, async () => {
        const { globalOutbound: _, ...code } = await getCode();
        if (name === null || parameters === null) return code;
        const { set } = splitIsolateId(name);
        return { ...code, globalOutbound: await host.outbound(JSON.parse(set)) };
      }),
  };
  return adapted as WorkerLoader;
}

/** Sets of parameters are JSON; version ids and the attempt numbers that Isolates adds contain no `~`. */
function isolateId(versionId: string, set: string): string {
  return `${set}~${versionId}`;
}

function splitIsolateId(id: string): { set: string; versionId: string } {
  const end = id.lastIndexOf("~");
  return { set: id.slice(0, end), versionId: id.slice(end + 1) };
}

/** User Workers are untrusted unless their namespace says otherwise, and see no `cf`. */
function withoutCf(request: Request): Request {
  if (request.cf === undefined) return request;
  const { method, headers, body, redirect, signal } = request;
  return new Request(request.url, { method, headers, body, redirect, signal });
}

function declared(
  script: string,
  outbound: Record<string, unknown>,
  parameters: readonly string[],
): OutboundParameters {
  const unknown = Object.keys(outbound).find((name) => !parameters.includes(name));
  if (unknown === undefined) return outbound;
  throw new TypeError(
    `outbound parameter "${unknown}" was given for "${script}", but the outbound Worker declares ` +
      `only [${parameters.join(", ")}]`,
  );
}

/** Loading an isolate takes RPC, which older compatibility dates of the dispatcher turn off. */
function checkCompatibility(): void {
  if (Cloudflare.compatibilityFlags["rpc"]) return;
  throw new Error(
    "dispatch namespaces need a dispatcher whose compatibility date is 2024-04-03 or later",
  );
}
