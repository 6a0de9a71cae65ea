/**
 * The certificate that the edges present: the operator's own, or one of the local CA, which covers the names
 * that the hub knows and is issued anew when they change or it is about to expire.
 */
import {
  edgeCertificateFiles,
  ensureCertificate,
  heldNames,
  isCertificateName,
  type CertificateFiles,
} from "./certificate-authority.ts";
import type { PlatformConfig } from "./config.ts";

export interface EdgeCertificatesOptions {
  readonly config: Pick<PlatformConfig, "tls" | "baseDomain">;
  /** The folder of the local CA. */
  readonly ca: string;
  /** The namespace that a new platform will have. */
  readonly firstNamespace: string;
  /** Every name that the certificate should cover, as the hub knows them. */
  readonly hostnames: () => Promise<readonly string[]>;
  /** Resolves when all edges present the new certificate. */
  readonly onIssued: () => Promise<void>;
  readonly log: (line: string) => void;
}

const CHECK_INTERVAL_MS = 12 * 60 * 60 * 1000;

export class EdgeCertificates {
  readonly #options: EdgeCertificatesOptions;
  #work: Promise<void> = Promise.resolve();
  #checks: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: EdgeCertificatesOptions) {
    this.#options = options;
  }

  get files(): CertificateFiles {
    return this.#options.config.tls ?? edgeCertificateFiles(this.#options.ca);
  }

  /** Makes what the edges start with: for last time's names, or those that a new platform will have. */
  async prepare(): Promise<void> {
    const { config, ca, firstNamespace } = this.#options;
    const { baseDomain } = config;
    const held = heldNames(ca);
    await this.#ensure(
      held.includes(baseDomain)
        ? held
        : [baseDomain, `*.${baseDomain}`, `*.${firstNamespace}.${baseDomain}`],
    );
  }

  /** One at a time, in the order of the calls. */
  renew(): Promise<void> {
    const work = this.#work.then(async () => {
      if (this.#options.config.tls !== undefined || this.#stopped) return;
      const names = await this.#options.hostnames();
      const changed = await this.#ensure(names.filter(isCertificateName));
      if (changed) await this.#options.onIssued();
    });
    this.#work = work.catch(() => {});
    return work;
  }

  startChecks(): void {
    this.#checks = setInterval(() => {
      this.renew().catch((error: unknown) => this.#options.log(String(error)));
    }, CHECK_INTERVAL_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#checks);
  }

  async #ensure(names: readonly string[]): Promise<boolean> {
    if (this.#options.config.tls !== undefined) return false;
    return ensureCertificate(this.#options.ca, names, Date.now());
  }
}
