/**
 * The workerd configuration of each kind of process. The directory `run/` is the working directory of all of
 * them, so unix socket addresses are short names in it (socket-names.ts). The platform's own secrets never stand
 * in these files: the hub's key comes from its environment, the TLS key from a file of its own. A ledger key is
 * of use to nobody but the process that has it.
 */
import { relative } from "node:path";
import type { EgressPolicy } from "../protocol/egress-policy.ts";
import type { PlatformLimits } from "../protocol/limits.ts";
import type { CellCounts, Isolation } from "../protocol/placement.ts";
import { capnpText, Embed, Word, type CapnpValue } from "./capnp-text.ts";
import { deniedBlocks, privateBlocks } from "./egress-policy.ts";
import { SECRET_KEY_VARIABLE } from "./secret-keys.ts";
import { socketNames, type DatabaseLane } from "./socket-names.ts";

export interface ConfigText {
  readonly text: string;
  /** Names of the sockets in it, which workerd reports when they listen. */
  readonly sockets: readonly string[];
  /** Whether it may write to a directory of the platform's data. */
  readonly writesData: boolean;
}

/** Absolute paths. */
export interface ConfigPaths {
  readonly run: string;
  readonly state: string;
  readonly blobs: string;
  /** Databases and files of the store. */
  readonly store: string;
  /** The built Workers: hub.js, edge.js, cell.js, egress.js. */
  readonly workers: string;
}

export interface HubSettings {
  readonly baseDomain: string;
  readonly apiUrl: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly limits: PlatformLimits;
  /** For namespaces without a setting of their own. */
  readonly isolation: Isolation;
  readonly cells: CellCounts;
}

export interface EdgeSettings {
  readonly index: number;
  readonly count: number;
  readonly life: number;
  readonly cells: CellCounts;
  readonly maxIsolates: number;
  /** Hex. */
  readonly ledgerKey: string;
  /** Hex, the same for all edges (src/protocol/grants.ts). */
  readonly grantKey: string;
  readonly baseDomain: string;
  readonly serverTiming: boolean;
  readonly flushIntervalMs: number;
  /** Absolute path of the dispatcher's module. */
  readonly dispatcher: string;
  /** Absolute paths of PEM files. */
  readonly certificate: { readonly certFile: string; readonly keyFile: string };
}

export interface CellSettings {
  readonly life: number;
  readonly maxIsolates: number;
  /** Hex. */
  readonly ledgerKey: string;
}

export interface EgressSettings {
  readonly baseDomain: string;
  /** How many edges there are. */
  readonly edges: number;
  readonly policy: EgressPolicy;
}

/** Held here so that all our own Workers see one runtime. */
const COMPATIBILITY = {
  compatibilityDate: "2026-11-01",
  // The second lets edges and cells call the handlers of functions for events.
  compatibilityFlags: ["experimental", "service_binding_extra_handlers"],
};
export const PROXY = { style: new Word("proxy") };

/**
 * A service that reaches no address: for Workers that must talk through their bindings only. Where there is no
 * service of this name, workerd makes one that has the public network.
 */
export const NO_NETWORK = "internet";

export function hubConfig(paths: ConfigPaths, settings: HubSettings): ConfigText {
  return config({
    services: [
      worker("hub", {
        modules: [esModule(paths, "hub.js", `${paths.workers}/hub.js`)],
        bindings: [
          { name: "REGISTRY", durableObjectNamespace: "Registry" },
          { name: "FUNCTION_METRICS", durableObjectNamespace: "FunctionMetrics" },
          { name: "ANALYTICS", durableObjectNamespace: "AnalyticsStore" },
          { name: "FUNCTION_LOGS", durableObjectNamespace: "FunctionLogs" },
          { name: "BLOBS", service: "blobs" },
          { name: "SUPERVISOR", service: "supervisor" },
          { name: "TRIAL", service: "trial" },
          { name: "STORE", service: "store" },
          { name: "SECRET_KEY", fromEnvironment: SECRET_KEY_VARIABLE },
          { name: "PLATFORM", json: JSON.stringify(settings) },
        ],
        durableObjectNamespaces: [
          objects("Registry"),
          objects("FunctionMetrics"),
          objects("AnalyticsStore"),
          objects("FunctionLogs"),
        ],
        durableObjectStorage: { localDisk: "state" },
        globalOutbound: NO_NETWORK,
      }),
      { name: "state", disk: { path: paths.state, writable: true } },
      { name: "blobs", disk: { path: paths.blobs, writable: true } },
      unix("supervisor", socketNames.supervisor),
      unix("trial", socketNames.trial),
      unix("store", socketNames.storeControl),
      noNetwork(),
    ],
    sockets: [
      unixSocket(socketNames.admin, { name: "hub", entrypoint: "AdminGate" }),
      unixSocket(socketNames.edgeHub, { name: "hub", entrypoint: "EdgeGate" }),
      { name: socketNames.api, http: {}, service: "hub" },
    ],
  });
}

export interface StoreSettings {
  readonly edges: number;
  readonly limits: PlatformLimits;
  /** Hex, the same as that of edges. */
  readonly grantKey: string;
}

export function storeConfig(paths: ConfigPaths, settings: StoreSettings): ConfigText {
  const edges = range(settings.edges);
  return config({
    services: [
      worker("store", {
        modules: [esModule(paths, "store.js", `${paths.workers}/store.js`)],
        bindings: [
          { name: "FILES", service: "files" },
          { name: "DATABASES", service: "databases" },
          { name: "QUEUES", durableObjectNamespace: "QueueObject" },
          { name: "GRANT_KEY", text: settings.grantKey },
          {
            name: "STORE",
            json: JSON.stringify({ edges: settings.edges, limits: settings.limits }),
          },
          { name: "KV", durableObjectNamespace: "KvNamespace" },
          { name: "QUOTAS", durableObjectNamespace: "QuotaBook" },
          { name: "CHANGES", durableObjectNamespace: "ChangeFollower" },
          { name: "R2_BUCKET", durableObjectNamespace: "R2Bucket" },
          { name: "SCHEDULES", durableObjectNamespace: "Schedules" },
          { name: "INVOCATIONS", durableObjectNamespace: "Invocations" },
          { name: "OBJECT_ROOMS", durableObjectNamespace: "ObjectRoom" },
          ...edges.map((edge) => ({ name: `EDGE_${edge}`, service: `edge-${edge}` })),
        ],
        durableObjectNamespaces: [
          objects("QuotaBook"),
          objects("ChangeFollower"),
          objects("R2Bucket"),
          objects("QueueObject"),
          objects("KvNamespace"),
          objects("Schedules"),
          objects("Invocations"),
          objects("ObjectRoom"),
        ],
        durableObjectStorage: { localDisk: "objects" },
        globalOutbound: NO_NETWORK,
      }),
      { name: "objects", disk: { path: `${paths.store}/objects`, writable: true } },
      { name: "files", disk: { path: `${paths.store}/files`, writable: true } },
      unix("databases", socketNames.databasesControl("fast")),
      ...edges.map((edge) => unix(`edge-${edge}`, socketNames.events(edge))),
      noNetwork(),
    ],
    sockets: [
      unixSocket(socketNames.store, { name: "store", entrypoint: "BindingGate" }, PROXY),
      unixSocket(socketNames.storeControl, { name: "store", entrypoint: "ControlGate" }),
    ],
  });
}

export interface DatabasesSettings {
  readonly lane: DatabaseLane;
  /** Hex, the same as that of edges. */
  readonly grantKey: string;
  /** Hex. */
  readonly ledgerKey: string;
  /** What the statements of one call may take. */
  readonly cpuMs: number;
  /** Databases that are in the slow lane, and until when (Unix milliseconds). */
  readonly slow: Readonly<Record<string, number>>;
}

export function databasesConfig(paths: ConfigPaths, settings: DatabasesSettings): ConfigText {
  const { lane, grantKey, ledgerKey, cpuMs, slow } = settings;
  const isFast = lane === "fast";
  return config({
    services: [
      worker("databases", {
        modules: [esModule(paths, "databases.js", `${paths.workers}/databases.js`)],
        bindings: [
          { name: "D1", durableObjectNamespace: "D1Database" },
          { name: "STORE", service: "store" },
          { name: "FILES", service: "files" },
          { name: "GRANT_KEY", text: grantKey },
          { name: "LEDGER_KEY", text: ledgerKey },
          { name: "LANE", json: JSON.stringify({ cpuMs, slow }) },
          ...(isFast ? [{ name: "SLOW", service: "slow" }] : []),
        ],
        durableObjectNamespaces: [
          { className: "D1Database", uniqueKey: "D1Database", enableSql: true },
        ],
        durableObjectStorage: { localDisk: "objects" },
        globalOutbound: NO_NETWORK,
      }),
      { name: "objects", disk: { path: `${paths.store}/objects`, writable: true } },
      { name: "files", disk: { path: `${paths.store}/files`, writable: true } },
      unix("store", socketNames.storeControl),
      ...(isFast ? [unix("slow", socketNames.databasesControl("slow"))] : []),
      noNetwork(),
    ],
    sockets: [
      ...(isFast
        ? [
            unixSocket(
              socketNames.databases,
              { name: "databases", entrypoint: "BindingGate" },
              PROXY,
            ),
          ]
        : []),
      unixSocket(socketNames.databasesControl(lane), {
        name: "databases",
        entrypoint: "ControlGate",
      }),
    ],
  });
}

/** Takes the place of whatever the client sent. */
function forwardedProto(value: "http" | "https") {
  return { injectRequestHeaders: [{ name: "X-Forwarded-Proto", value }] };
}

export function edgeConfig(paths: ConfigPaths, settings: EdgeSettings): ConfigText {
  const { index, count, life, cells, maxIsolates, certificate } = settings;
  const peers = range(count);
  const cellIndexes = range(cells.total);
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
          { name: "STORE", service: "store" },
          { name: "DATABASES", service: "databases" },
          ...peers.map((peer) => ({ name: `PEER_${peer}`, service: `peer-${peer}` })),
          ...cellIndexes.map((cell) => ({ name: `CELL_${cell}`, service: `cell-${cell}` })),
          { name: "EDGE", json: JSON.stringify({ index, count, life, cells, maxIsolates }) },
          { name: "LEDGER_KEY", text: settings.ledgerKey },
          { name: "GRANT_KEY", text: settings.grantKey },
          { name: "BASE_DOMAIN", text: settings.baseDomain },
          { name: "SERVER_TIMING", text: settings.serverTiming ? "on" : "off" },
          { name: "METRICS_FLUSH_MS", text: String(settings.flushIntervalMs) },
        ],
        globalOutbound: NO_NETWORK,
      }),
      unix("hub", socketNames.edgeHub),
      unix("egress", socketNames.egress, PROXY),
      unix("store", socketNames.store, PROXY),
      unix("databases", socketNames.databases, PROXY),
      ...peers.map((peer) => unix(`peer-${peer}`, socketNames.peer(peer), PROXY)),
      ...cellIndexes.map((cell) => unix(`cell-${cell}`, socketNames.cell(cell), PROXY)),
      noNetwork(),
    ],
    sockets: [
      unixSocket(socketNames.edgeControl(life), { name: "edge", entrypoint: "EdgeControl" }),
      unixSocket(socketNames.edgePeer(life), { name: "edge", entrypoint: "PeerGate" }, PROXY),
      unixSocket(socketNames.edgeHairpin(life), { name: "edge", entrypoint: "HairpinGate" }, PROXY),
      unixSocket(socketNames.edgeEvents(life), { name: "edge", entrypoint: "EventGate" }),
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

export function egressConfig(paths: ConfigPaths, settings: EgressSettings): ConfigText {
  const edges = range(settings.edges);
  return config({
    services: [
      worker("egress", {
        modules: [esModule(paths, "egress.js", `${paths.workers}/egress.js`)],
        bindings: [
          { name: "BASE_DOMAIN", text: settings.baseDomain },
          { name: "EDGES", json: JSON.stringify(settings.edges) },
          ...edges.map((edge) => ({ name: `EDGE_${edge}`, service: `edge-${edge}` })),
          { name: "POLICY", json: JSON.stringify(settings.policy) },
          { name: "PRIVATE", service: "private" },
        ],
        globalOutbound: "public",
      }),
      ...edges.map((edge) => unix(`edge-${edge}`, socketNames.hairpin(edge), PROXY)),
      network("public", ["public"], deniedBlocks(settings.policy)),
      network("private", privateBlocks(settings.policy)),
      noNetwork(),
    ],
    sockets: [unixSocket(socketNames.egress, { name: "egress" }, PROXY)],
  });
}

export function cellConfig(paths: ConfigPaths, settings: CellSettings): ConfigText {
  const { life, maxIsolates, ledgerKey } = settings;
  return config({
    services: [
      worker("cell", {
        modules: [esModule(paths, "cell.js", `${paths.workers}/cell.js`)],
        bindings: [
          { name: "LOADER", workerLoader: {} },
          { name: "EGRESS", service: "egress" },
          { name: "STORE", service: "store" },
          { name: "DATABASES", service: "databases" },
          { name: "CELL", json: JSON.stringify({ life, maxIsolates }) },
          { name: "LEDGER_KEY", text: ledgerKey },
        ],
        globalOutbound: NO_NETWORK,
      }),
      unix("egress", socketNames.egress, PROXY),
      unix("store", socketNames.store, PROXY),
      unix("databases", socketNames.databases, PROXY),
      noNetwork(),
    ],
    sockets: [
      unixSocket(socketNames.cellLife(life), { name: "cell" }, PROXY),
      unixSocket(socketNames.cellControl(life), { name: "cell", entrypoint: "CellControl" }),
    ],
  });
}

export type Fields = Readonly<Record<string, CapnpValue>>;

function objects(className: string): Fields {
  return { className, uniqueKey: className, enableSql: true };
}

export function config(fields: {
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
    writesData: fields.services.some(({ disk }) => isWritable(disk)),
  };
}

function isWritable(disk: CapnpValue | undefined): boolean {
  return typeof disk === "object" && "writable" in disk && disk.writable === true;
}

export function worker(name: string, fields: Fields): Fields {
  return { name, worker: { ...COMPATIBILITY, ...fields } };
}

export function noNetwork(): Fields {
  return { name: NO_NETWORK, network: { allow: [] } };
}

/** The addresses that names lead to are looked at, too. */
function network(name: string, allow: readonly string[], deny: readonly string[] = []): Fields {
  return { name, network: { allow, deny, tlsOptions: { trustBrowserCas: true } } };
}

export function unix(name: string, socket: string, http: Fields = {}): Fields {
  return { name, external: { address: `unix:${socket}`, http } };
}

export function unixSocket(name: string, service: Fields, http: Fields = {}) {
  return { name, address: `unix:${name}`, http, service };
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

export function esModule(paths: ConfigPaths, name: string, file: string): Fields {
  return { name, esModule: embed(paths, file) };
}

function embed({ run }: ConfigPaths, file: string): Embed {
  return new Embed(relative(run, file));
}
