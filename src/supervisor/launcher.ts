/**
 * Starts the processes of a platform: writes the configuration of one life, makes the directory of its sockets,
 * spawns workerd, in a sandbox if it runs tenants' code. Does not watch it (slot.ts and cells.ts do).
 */
import { randomBytes } from "node:crypto";
import { linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { LEDGER_KEY_BYTES } from "../protocol/ledger.ts";
import type { CertificateFiles } from "./certificate-authority.ts";
import { cellCounts, type PlatformConfig } from "./config.ts";
import { LANE_CPU_MS } from "./databases.ts";
import type { DataPaths } from "./data-directory.ts";
import type { ListeningSocket } from "./listening-sockets.ts";
import { detectLayers, type Layers } from "./sandbox/layers.ts";
import { SECRET_KEY_VARIABLE } from "./secret-keys.ts";
import { lifeDirectory, RUN_DIRECTORIES, socketNames, type DatabaseLane } from "./socket-names.ts";
import type { Bundle } from "../protocol/bundle.ts";
import { Grants } from "../protocol/grants.ts";
import { moduleFile, statefulConfig } from "./stateful/config.ts";
import type { StatefulRequest } from "./stateful/starts.ts";
import {
  cellConfig,
  databasesConfig,
  edgeConfig,
  egressConfig,
  hubConfig,
  storeConfig,
  type ConfigPaths,
  type ConfigText,
} from "./workerd-config.ts";
import { WorkerdProcess, type ProcessKind } from "./workerd-process.ts";

export interface LauncherOptions {
  readonly config: PlatformConfig;
  readonly paths: DataPaths;
  readonly binary: string;
  /** Folder of the built Workers. */
  readonly workers: string;
  /** Base64 of 32 bytes. */
  /** Read at each start of the hub: `skep key rotate` changes them. */
  readonly secretKeys: () => string;
  readonly output: (line: string, stream: "stdout" | "stderr") => void;
}

export interface PublicSockets {
  readonly http: ListeningSocket;
  readonly https: ListeningSocket;
  readonly api: ListeningSocket;
}

/** What sets one process apart from others of its kind. */
interface Launch {
  readonly name: string;
  readonly kind: ProcessKind;
  readonly life: number;
  readonly config: ConfigText;
  readonly ledgerKey?: string;
  readonly inherited?: Readonly<Record<string, number>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** Given: it belongs into the sandbox, and sees these and its own configuration and sockets. */
  readonly sees?: readonly string[];
  /** Directories beside that of its sockets which it may write to. */
  readonly writes?: readonly string[];
}

export class Launcher {
  readonly #options: LauncherOptions;
  readonly #paths: ConfigPaths;
  /** Cells outlive edges, but not this process. */
  readonly #grantKey = randomBytes(32).toString("hex");
  readonly #grants = new Grants(this.#grantKey);
  /** The socket that each link leads to, relative to `run/` as the links are. */
  readonly #links = new Map<string, string>();
  #layers: Layers | undefined;
  #lives = 0;

  constructor(options: LauncherOptions) {
    this.#options = options;
    this.#paths = { ...options.paths, workers: options.workers };
  }

  /**
   * Lays `run/` out, which must be empty, and finds out what there is to build sandboxes from. The directories
   * are there when this returns; edges and cells can be started when it has resolved.
   */
  async prepare(): Promise<Layers> {
    const { run, workers } = this.#paths;
    for (const directory of Object.values(RUN_DIRECTORIES)) mkdirSync(join(run, directory));
    this.#layers = await detectLayers(this.#options.binary, [run, workers]);
    return this.#layers;
  }

  hub({ api, http, https }: PublicSockets, apiUrl: string): WorkerdProcess {
    const { config, secretKeys } = this.#options;
    const text = hubConfig(this.#paths, {
      baseDomain: config.baseDomain,
      apiUrl: `${apiUrl}/client/v4`,
      httpPort: http.port,
      httpsPort: https.port,
      limits: config.limits,
      isolation: config.isolation,
      cells: cellCounts(config),
    });
    return this.#launch({
      name: "hub",
      kind: "hub",
      life: ++this.#lives,
      config: text,
      inherited: { [socketNames.api]: queueOf(api, 0) },
      environment: { [SECRET_KEY_VARIABLE]: secretKeys() },
    });
  }

  egress(): WorkerdProcess {
    const { baseDomain, edges, egressPolicy: policy } = this.#options.config;
    // The places where the system keeps the CAs it trusts, if they were moved.
    const { SSL_CERT_FILE, SSL_CERT_DIR } = process.env;
    return this.#launch({
      name: "egress",
      kind: "egress",
      life: ++this.#lives,
      config: egressConfig(this.#paths, { baseDomain, edges, policy }),
      environment: {
        ...(SSL_CERT_FILE === undefined ? {} : { SSL_CERT_FILE }),
        ...(SSL_CERT_DIR === undefined ? {} : { SSL_CERT_DIR }),
      },
    });
  }

  store(): WorkerdProcess {
    const { edges, limits } = this.#options.config;
    return this.#launch({
      name: "store",
      kind: "store",
      life: ++this.#lives,
      config: storeConfig(this.#paths, { edges, limits, grantKey: this.#grantKey }),
    });
  }

  databases(lane: DatabaseLane, slow: Readonly<Record<string, number>>): WorkerdProcess {
    const ledgerKey = makeLedgerKey();
    return this.#launch({
      name: `databases (${lane})`,
      kind: "databases",
      life: ++this.#lives,
      config: databasesConfig(this.#paths, {
        lane,
        grantKey: this.#grantKey,
        ledgerKey,
        cpuMs: LANE_CPU_MS[lane],
        slow,
      }),
      ledgerKey,
    });
  }

  /** A blank cell. Edges reach it once a link such as `socketNames.cell(index)` leads to it. */
  cell(): WorkerdProcess {
    const life = ++this.#lives;
    return this.#cell(`cell ${life}`, "cell", life, [
      RUN_DIRECTORIES.egress,
      RUN_DIRECTORIES.store,
    ]);
  }

  /** A cell of a script with Durable Objects, which lie in `objects`. Of a bundle as the hub prepares it for that. */
  async stateful(
    request: StatefulRequest,
    bundle: Bundle,
    objects: string,
  ): Promise<WorkerdProcess> {
    const { run, workers } = this.#paths;
    const life = ++this.#lives;
    const ledgerKey = makeLedgerKey();
    const { namespace, script, versionId, subrequests } = request;
    const { classes, workflows } = request.objects;
    const to = { namespace, script };
    const outbound = request.outbound && { ...request.outbound, parameters: {} };
    const gate = {
      life,
      namespace,
      script,
      versionId,
      limits: { subrequests },
      classes,
      ...(workflows && { workflows }),
      traceGrant: await this.#grants.make(to, { type: "traces" }),
      ...(outbound && {
        outbound: {
          ...outbound,
          grant: await this.#grants.make(to, { type: "outbound", ...outbound }),
        },
      }),
    };
    const granted = await this.#grants.addTo(bundle, to);
    const modules = join(run, RUN_DIRECTORIES.stateful, String(life));
    mkdirSync(modules, { mode: 0o700 });
    for (const [index, { content }] of bundle.modules.entries()) {
      writeFileSync(join(modules, moduleFile(index)), content, { mode: 0o600 });
    }
    const settings = { gate, ledgerKey, bundle: granted, objects, modules };
    const process = this.#launch({
      name: `cell ${life}`,
      kind: "cell",
      life,
      config: statefulConfig(this.#paths, settings),
      ledgerKey,
      sees: [
        join(workers, "stateful.js"),
        join(workers, "workflows.js"),
        modules,
        join(run, RUN_DIRECTORIES.egress),
        join(run, RUN_DIRECTORIES.store),
      ],
      writes: [objects],
    });
    // The runtime reads them once; the function's secrets stand in the configuration.
    const forgetCode = () => {
      rmSync(join(run, configName("cell", life)), { force: true });
      rmSync(modules, { recursive: true, force: true });
    };
    process.ready.then(forgetCode, forgetCode);
    return process;
  }

  /** The hub reaches it once the link `socketNames.trial` leads to its control socket. */
  trial(): WorkerdProcess {
    return this.#cell("trial", "trial", ++this.#lives, []);
  }

  edge(
    index: number,
    { http, https }: PublicSockets,
    certificate: CertificateFiles,
  ): WorkerdProcess {
    const { config, workers } = this.#options;
    const life = ++this.#lives;
    const ledgerKey = makeLedgerKey();
    const dispatcher = config.dispatcher ?? join(workers, "dispatcher.js");
    const text = edgeConfig(this.#paths, {
      index,
      count: config.edges,
      life,
      cells: cellCounts(config),
      maxIsolates: config.isolates,
      ledgerKey,
      grantKey: this.#grantKey,
      baseDomain: config.baseDomain,
      serverTiming: config.serverTiming,
      flushIntervalMs: config.flushIntervalMs,
      dispatcher,
      certificate,
    });
    const { edgeHub, egress, store, peers, cells } = RUN_DIRECTORIES;
    return this.#launch({
      name: `edge ${index}`,
      kind: "edge",
      life,
      config: text,
      ledgerKey,
      inherited: {
        [socketNames.http]: queueOf(http, index),
        [socketNames.https]: queueOf(https, index),
      },
      sees: [
        join(workers, "edge.js"),
        dispatcher,
        certificate.certFile,
        certificate.keyFile,
        ...[edgeHub, egress, store, peers, cells].map((directory) =>
          join(this.#paths.run, directory),
        ),
      ],
    });
  }

  /**
   * Leads those who know only the link to this life's socket, from their next connection on. It is a hard link:
   * a sandbox shows the link's directory, not what a symbolic link in it would lead to.
   */
  pointLink(link: string, socket: string): void {
    const { run } = this.#paths;
    const temporary = join(run, `${link}.tmp`);
    rmSync(temporary, { force: true });
    try {
      linkSync(join(run, socket), temporary);
    } catch (error) {
      // Not every system and file system has hard links to sockets; those have no sandbox of ours either.
      if (this.#layers?.bubblewrap !== undefined) throw error;
      symlinkSync(relative(dirname(link), socket), temporary);
    }
    renameSync(temporary, join(run, link));
    this.#links.set(link, socket);
  }

  /** Nobody is behind it any more. */
  dropLink(link: string): void {
    rmSync(join(this.#paths.run, link), { force: true });
    this.#links.delete(link);
  }

  /**
   * Removes the files that only this life used, and links that still lead to it. With its socket gone, a peer
   * learns that its request was never received and may run it elsewhere; a socket file that nobody listens on
   * looks like a lost connection.
   */
  forget({ kind, life }: WorkerdProcess): void {
    const { run } = this.#paths;
    const directory = directoryOf(kind, life);
    for (const [link, socket] of this.#links) {
      if (directory !== undefined && socket.startsWith(`${directory}/`)) this.dropLink(link);
    }
    rmSync(join(run, configName(kind, life)), { force: true });
    if (directory !== undefined) rmSync(join(run, directory), { recursive: true, force: true });
  }

  #cell(
    name: string,
    kind: "cell" | "trial",
    life: number,
    directories: readonly string[],
  ): WorkerdProcess {
    const { run, workers } = this.#paths;
    const maxIsolates = this.#options.config.isolates;
    const ledgerKey = makeLedgerKey();
    return this.#launch({
      name,
      kind,
      life,
      config: cellConfig(this.#paths, { life, maxIsolates, ledgerKey }),
      ledgerKey,
      sees: [join(workers, "cell.js"), ...directories.map((directory) => join(run, directory))],
    });
  }

  #launch({ name, kind, life, config, sees, writes = [], ...extra }: Launch): WorkerdProcess {
    if (sees !== undefined && this.#layers === undefined) {
      throw new Error(`${name} was started before it was known whether there is a sandbox`);
    }
    const { run } = this.#paths;
    const configFile = configName(kind, life);
    writeFileSync(join(run, configFile), config.text, { mode: 0o600 });
    const own = directoryOf(kind, life);
    if (own === undefined) {
      // workerd does not start on a socket file that an earlier process left behind.
      for (const socket of config.sockets) rmSync(join(run, socket), { force: true });
    } else {
      mkdirSync(join(run, own));
    }
    const bubblewrap = sees && this.#layers?.bubblewrap;
    const command = {
      kind,
      binary: this.#options.binary,
      directory: run,
      configFile,
      sockets: config.sockets,
      writesData: config.writesData,
      inherited: {},
      environment: {},
      ...extra,
      sandbox: bubblewrap && {
        bubblewrap,
        readOnly: [join(run, configFile), ...sees],
        writable: [...(own === undefined ? [] : [join(run, own)]), ...writes],
      },
    };
    return new WorkerdProcess(name, life, command, this.#options.output);
  }
}

/** The descriptor of the queue that a process accepts from. */
function queueOf({ fds }: ListeningSocket, index: number): number {
  const fd = fds[index % fds.length];
  if (fd === undefined) throw new TypeError("a listening socket without a queue");
  return fd;
}

function makeLedgerKey(): string {
  return randomBytes(LEDGER_KEY_BYTES).toString("hex");
}

function configName(kind: ProcessKind, life: number): string {
  return `${kind}.${life}.capnp`;
}

/** undefined: its sockets are where every life of it has them. */
function directoryOf(kind: ProcessKind, life: number): string | undefined {
  if (kind === "edge") return lifeDirectory.edge(life);
  return kind === "cell" || kind === "trial" ? lifeDirectory.cell(life) : undefined;
}
