/**
 * The workerd configuration of each kind of process. The directory `run/` is the working directory of all of
 * them, so unix socket addresses are short names in it. Secrets never stand in these files: the hub's key comes
 * from its environment, the TLS key from a file of its own.
 *
 * `edge-hub.sock`, `egress.sock` and `admin.sock` are sockets of processes that are replaced one after the other.
 * Where two lives of a process can overlap, the socket has the life in its name and others reach it through a
 * symbolic link (`peer-0.sock`, `trial.sock`) that is set when the new life is ready.
 */
import { relative } from "node:path";
import { capnpText, Embed, Word, type CapnpValue } from "./capnp-text.ts";

export interface ConfigText {
  readonly text: string;
  /** Names of the sockets in it, which workerd reports when they listen. */
  readonly sockets: readonly string[];
}

/** Absolute paths. */
export interface ConfigPaths {
  readonly run: string;
  readonly state: string;
  readonly blobs: string;
  /** The built Workers: hub.js, edge.js, cell.js, egress.js. */
  readonly workers: string;
}

export interface HubSettings {
  readonly baseDomain: string;
  readonly apiUrl: string;
  readonly httpPort: number;
  readonly httpsPort: number;
}

export interface EdgeSettings {
  readonly index: number;
  readonly count: number;
  readonly life: number;
  readonly baseDomain: string;
  readonly serverTiming: boolean;
  readonly flushIntervalMs: number;
  /** Absolute path of the dispatcher's module. */
  readonly dispatcher: string;
  /** Absolute paths of PEM files. */
  readonly certificate: { readonly certFile: string; readonly keyFile: string };
}

/** The environment variable from which the hub reads its key: base64 of 32 bytes. */
export const SECRET_KEY_VARIABLE = "SKEP_SECRET_KEY";

export const socketNames = {
  api: "api",
  http: "http",
  https: "https",
  admin: "admin.sock",
  supervisor: "supervisor.sock",
  trial: "trial.sock",
  trialLife: (life: number) => `trial.${life}.sock`,
  edgeControl: (index: number, life: number) => `edge-${index}.${life}.sock`,
  peer: (index: number) => `peer-${index}.sock`,
  peerLife: (index: number, life: number) => `peer-${index}.${life}.sock`,
} as const;

const EDGE_HUB = "edge-hub.sock";
const EGRESS = "egress.sock";

/** Held here so that all our own Workers see one runtime. */
const COMPATIBILITY = { compatibilityDate: "2026-11-01", compatibilityFlags: ["experimental"] };
const PROXY = { style: new Word("proxy") };

export function hubConfig(paths: ConfigPaths, settings: HubSettings): ConfigText {
  const objects = (className: string) => ({ className, uniqueKey: className, enableSql: true });
  return config({
    services: [
      worker("hub", {
        modules: [esModule(paths, "hub.js", `${paths.workers}/hub.js`)],
        bindings: [
          { name: "REGISTRY", durableObjectNamespace: "Registry" },
          { name: "FUNCTION_METRICS", durableObjectNamespace: "FunctionMetrics" },
          { name: "BLOBS", service: "blobs" },
          { name: "SUPERVISOR", service: "supervisor" },
          { name: "TRIAL", service: "trial" },
          { name: "SECRET_KEY", fromEnvironment: SECRET_KEY_VARIABLE },
          { name: "PLATFORM", json: JSON.stringify(settings) },
        ],
        durableObjectNamespaces: [objects("Registry"), objects("FunctionMetrics")],
        durableObjectStorage: { localDisk: "state" },
        globalOutbound: "nothing",
      }),
      { name: "state", disk: { path: paths.state, writable: true } },
      { name: "blobs", disk: { path: paths.blobs, writable: true } },
      unix("supervisor", socketNames.supervisor),
      unix("trial", socketNames.trial),
      nothing(),
    ],
    sockets: [
      unixSocket(socketNames.admin, { name: "hub", entrypoint: "AdminGate" }),
      unixSocket(EDGE_HUB, { name: "hub", entrypoint: "EdgeGate" }),
      { name: socketNames.api, http: {}, service: "hub" },
    ],
  });
}

/** Takes the place of whatever the client sent. */
function forwardedProto(value: "http" | "https") {
  return { injectRequestHeaders: [{ name: "X-Forwarded-Proto", value }] };
}

export function edgeConfig(paths: ConfigPaths, settings: EdgeSettings): ConfigText {
  const { index, count, life, certificate } = settings;
  const peers = Array.from({ length: count }, (_, peer) => peer);
  return config({
    services: [
      worker("edge", {
        modules: [
          esModule(paths, "edge.js", `${paths.workers}/edge.js`),
          esModule(paths, "dispatcher", settings.dispatcher),
        ],
        bindings: [
          { name: "LOADER", workerLoader: {} },
          { name: "HUB", service: "hub" },
          { name: "EGRESS", service: "egress" },
          ...peers.map((peer) => ({ name: `PEER_${peer}`, service: `peer-${peer}` })),
          { name: "EDGE", json: JSON.stringify({ index, count, life }) },
          { name: "BASE_DOMAIN", text: settings.baseDomain },
          { name: "SERVER_TIMING", text: settings.serverTiming ? "on" : "off" },
          { name: "METRICS_FLUSH_MS", text: String(settings.flushIntervalMs) },
        ],
        globalOutbound: "nothing",
      }),
      unix("hub", EDGE_HUB),
      unix("egress", EGRESS, PROXY),
      ...peers.map((peer) => unix(`peer-${peer}`, socketNames.peer(peer), PROXY)),
      nothing(),
    ],
    sockets: [
      unixSocket(socketNames.edgeControl(index, life), { name: "edge", entrypoint: "EdgeControl" }),
      unixSocket(
        socketNames.peerLife(index, life),
        { name: "edge", entrypoint: "PeerGate" },
        PROXY,
      ),
      { name: socketNames.http, http: forwardedProto("http"), service: "edge" },
      {
        name: socketNames.https,
        https: {
          options: forwardedProto("https"),
          tlsOptions: {
            keypair: {
              privateKey: embed(paths, certificate.keyFile),
              certificateChain: embed(paths, certificate.certFile),
            },
          },
        },
        service: "edge",
      },
    ],
  });
}

export function egressConfig(paths: ConfigPaths): ConfigText {
  return config({
    services: [
      worker("egress", {
        modules: [esModule(paths, "egress.js", `${paths.workers}/egress.js`)],
        globalOutbound: "public",
      }),
      { name: "public", network: { allow: ["public"], tlsOptions: { trustBrowserCas: true } } },
    ],
    sockets: [unixSocket(EGRESS, { name: "egress" }, PROXY)],
  });
}

export function trialConfig(paths: ConfigPaths, life: number): ConfigText {
  return config({
    services: [
      worker("cell", {
        modules: [esModule(paths, "cell.js", `${paths.workers}/cell.js`)],
        bindings: [{ name: "LOADER", workerLoader: {} }],
        globalOutbound: "nothing",
      }),
      nothing(),
    ],
    sockets: [unixSocket(socketNames.trialLife(life), { name: "cell" })],
  });
}

type Fields = Readonly<Record<string, CapnpValue>>;

function config(fields: {
  services: Fields[];
  sockets: (Fields & { name: string })[];
}): ConfigText {
  return {
    text: [
      `using Workerd = import "/workerd/workerd.capnp";`,
      `const config :Workerd.Config = ${capnpText(fields)};`,
      "",
    ].join("\n"),
    sockets: fields.sockets.map(({ name }) => name),
  };
}

function worker(name: string, fields: Fields): Fields {
  return { name, worker: { ...COMPATIBILITY, ...fields } };
}

/** A service that reaches no address: for Workers that must talk through their bindings only. */
function nothing(): Fields {
  return { name: "nothing", network: { allow: [] } };
}

function unix(name: string, socket: string, http: Fields = {}): Fields {
  return { name, external: { address: `unix:${socket}`, http } };
}

function unixSocket(name: string, service: Fields, http: Fields = {}) {
  return { name, address: `unix:${name}`, http, service };
}

function esModule(paths: ConfigPaths, name: string, file: string): Fields {
  return { name, esModule: embed(paths, file) };
}

function embed({ run }: ConfigPaths, file: string): Embed {
  return new Embed(relative(run, file));
}
