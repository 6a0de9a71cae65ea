/**
 * Starts the processes of a platform: writes the configuration of one life, clears its socket files away,
 * spawns workerd. Knows which sockets each kind of process has; does not watch it (slot.ts does).
 */
import { renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CertificateFiles } from "./certificate-authority.ts";
import type { PlatformConfig } from "./config.ts";
import type { DataPaths } from "./data-directory.ts";
import type { ListeningSocket } from "./listening-sockets.ts";
import {
  edgeConfig,
  egressConfig,
  hubConfig,
  SECRET_KEY_VARIABLE,
  socketNames,
  trialConfig,
  type ConfigPaths,
  type ConfigText,
} from "./workerd-config.ts";
import { WorkerdProcess } from "./workerd-process.ts";

export interface LauncherOptions {
  readonly config: PlatformConfig;
  readonly paths: DataPaths;
  readonly binary: string;
  /** Folder of the built Workers. */
  readonly workers: string;
  /** Base64 of 32 bytes. */
  readonly secretKey: string;
  readonly output: (line: string, stream: "stdout" | "stderr") => void;
}

export interface PublicSockets {
  readonly http: ListeningSocket;
  readonly https: ListeningSocket;
  readonly api: ListeningSocket;
}

export class Launcher {
  readonly #options: LauncherOptions;
  readonly #paths: ConfigPaths;
  #lives = 0;

  constructor(options: LauncherOptions) {
    this.#options = options;
    this.#paths = { ...options.paths, workers: options.workers };
  }

  hub({ api, http, https }: PublicSockets, apiUrl: string): WorkerdProcess {
    const { config, secretKey } = this.#options;
    const text = hubConfig(this.#paths, {
      baseDomain: config.baseDomain,
      apiUrl: `${apiUrl}/client/v4`,
      httpPort: http.port,
      httpsPort: https.port,
    });
    return this.#spawn("hub", ++this.#lives, text, {
      inherited: { [socketNames.api]: queueOf(api, 0) },
      environment: { [SECRET_KEY_VARIABLE]: secretKey },
    });
  }

  egress(): WorkerdProcess {
    // The places where the system keeps the CAs it trusts, if they were moved.
    const { SSL_CERT_FILE, SSL_CERT_DIR } = process.env;
    return this.#spawn("egress", ++this.#lives, egressConfig(this.#paths), {
      environment: {
        ...(SSL_CERT_FILE === undefined ? {} : { SSL_CERT_FILE }),
        ...(SSL_CERT_DIR === undefined ? {} : { SSL_CERT_DIR }),
      },
    });
  }

  trial(): WorkerdProcess {
    const life = ++this.#lives;
    return this.#spawn("trial", life, trialConfig(this.#paths, life));
  }

  edge(
    index: number,
    { http, https }: PublicSockets,
    certificate: CertificateFiles,
  ): WorkerdProcess {
    const { config, workers } = this.#options;
    const life = ++this.#lives;
    const text = edgeConfig(this.#paths, {
      index,
      count: config.edges,
      life,
      baseDomain: config.baseDomain,
      serverTiming: config.serverTiming,
      flushIntervalMs: config.flushIntervalMs,
      dispatcher: config.dispatcher ?? join(workers, "dispatcher.js"),
      certificate,
    });
    return this.#spawn(`edge ${index}`, life, text, {
      inherited: {
        [socketNames.http]: queueOf(http, index),
        [socketNames.https]: queueOf(https, index),
      },
    });
  }

  /** Leads those who know only the link to this life's socket, from their next connection on. */
  pointLink(link: string, socket: string): void {
    const temporary = join(this.#paths.run, `${link}.tmp`);
    rmSync(temporary, { force: true });
    symlinkSync(socket, temporary);
    renameSync(temporary, join(this.#paths.run, link));
  }

  /**
   * Removes the files that only this life used. With its socket gone, a peer learns that its request was never
   * received and may run it elsewhere; a socket file that nobody listens on looks like a lost connection.
   */
  forget({ name, life }: WorkerdProcess): void {
    for (const file of [configName(name, life), ...socketsOfLife(name, life)]) {
      rmSync(join(this.#paths.run, file), { force: true });
    }
  }

  #spawn(
    name: string,
    life: number,
    { text, sockets }: ConfigText,
    extra: {
      readonly inherited?: Readonly<Record<string, number>>;
      readonly environment?: Readonly<Record<string, string>>;
    } = {},
  ): WorkerdProcess {
    const { run } = this.#paths;
    const configFile = configName(name, life);
    writeFileSync(join(run, configFile), text, { mode: 0o600 });
    // workerd does not start on a socket file that an earlier process left behind.
    for (const socket of sockets) {
      if (socket.endsWith(".sock")) rmSync(join(run, socket), { force: true });
    }
    const command = {
      binary: this.#options.binary,
      directory: run,
      configFile,
      sockets,
      inherited: extra.inherited ?? {},
      environment: extra.environment ?? {},
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

function configName(name: string, life: number): string {
  return `${name.replace(" ", "-")}.${life}.capnp`;
}

function socketsOfLife(name: string, life: number): string[] {
  if (name === "trial") return [socketNames.trialLife(life)];
  const index = /^edge (\d+)$/.exec(name)?.[1];
  if (index === undefined) return [];
  return [socketNames.edgeControl(Number(index), life), socketNames.peerLife(Number(index), life)];
}
