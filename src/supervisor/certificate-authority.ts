/**
 * The certificate that the edges present, and the local CA that signs it. Both are files in `ca/`:
 *
 *   ca.pem, ca-key.pem       made once; users trust ca.pem (`skep ca`)
 *   edge.pem, edge-key.pem   made again when the names change or it is about to expire
 *
 * With a certificate of the operator's own there is nothing to sign and the folder stays empty.
 */
import { createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Pems } from "./certificates.ts";
import { writePrivateFile } from "./data-directory.ts";
import { StartError } from "./start-error.ts";

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

const RENEW_BEFORE_MS = 30 * 24 * 60 * 60 * 1000;

export function caFile(folder: string): string {
  return join(folder, "ca.pem");
}

export function edgeCertificateFiles(folder: string): CertificateFiles {
  return { certFile: join(folder, "edge.pem"), keyFile: join(folder, "edge-key.pem") };
}

/** Custom routes may name hosts that no certificate can hold, such as addresses. */
export function isCertificateName(name: string): boolean {
  return /^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(name) && name.length <= 253;
}

/**
 * Sees to it that the files hold a certificate for exactly `names`. True if they were written: whoever has read
 * them must read them again. @throws StartError if the CA's files are damaged.
 */
export async function ensureCertificate(
  folder: string,
  names: readonly string[],
  now: number,
): Promise<boolean> {
  const ca = readCa(folder);
  const files = edgeCertificateFiles(folder);
  if (ca !== undefined && isCurrent(ca, files, names, now)) return false;
  const { issueCa, issueLeaf } = await import("./certificates.ts");
  let authority = ca;
  if (authority === undefined) {
    authority = await issueCa(randomBytes(3).toString("hex"), now);
    // In this order: a certificate without its key would be damage, a key without its certificate is not.
    writePrivateFile(caKeyFile(folder), authority.key);
    writePrivateFile(caFile(folder), authority.certificate);
  }
  const leaf = await issueLeaf(authority, names, now);
  // Edges read both while they start. If one starts between the two writes, it fails and starts again.
  writePrivateFile(files.keyFile, leaf.key);
  writePrivateFile(files.certFile, leaf.certificate);
  return true;
}

/** The names in the present certificate; none if there is no readable one. */
export function heldNames(folder: string): readonly string[] {
  try {
    return namesOf(new X509Certificate(readFileSync(edgeCertificateFiles(folder).certFile)));
  } catch {
    return []; // Missing or damaged: it is made anew.
  }
}

/** @throws StartError if the two files are not a certificate and its key. */
export function checkOwnCertificate({ certFile, keyFile }: CertificateFiles): void {
  const certificate = parse("--tls-cert", certFile, (pem) => new X509Certificate(pem));
  const key = parse("--tls-key", keyFile, (pem) => createPrivateKey(pem));
  if (!certificate.checkPrivateKey(key)) {
    throw new StartError(`--tls-key: ${keyFile} is not the private key of ${certFile}`);
  }
}

function parse<T>(option: string, file: string, read: (pem: Buffer) => T): T {
  try {
    return read(readFileSync(file));
  } catch (error) {
    const kind = option === "--tls-key" ? "private key without a passphrase" : "certificate";
    throw new StartError(`${option}: ${file} cannot be read as a PEM ${kind}`, { cause: error });
  }
}

function caKeyFile(folder: string): string {
  return join(folder, "ca-key.pem");
}

/** undefined: there is no CA yet. */
function readCa(folder: string): Pems | undefined {
  if (!existsSync(caFile(folder))) return undefined;
  try {
    const pems = {
      certificate: readFileSync(caFile(folder), "utf8"),
      key: readFileSync(caKeyFile(folder), "utf8"),
    };
    const matches = new X509Certificate(pems.certificate).checkPrivateKey(
      createPrivateKey(pems.key),
    );
    if (matches) return pems;
    throw new Error("the key is not the key of the certificate");
  } catch (error) {
    throw new StartError(
      `--data: the local CA in ${folder} is damaged; restore it from a backup, or delete that folder to get a new CA, which clients must then trust`,
      { cause: error },
    );
  }
}

/** Damaged or missing edge files are simply not current. */
function isCurrent(
  ca: Pems,
  { certFile, keyFile }: CertificateFiles,
  names: readonly string[],
  now: number,
): boolean {
  try {
    const certificate = new X509Certificate(readFileSync(certFile));
    const authority = new X509Certificate(ca.certificate);
    return (
      certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile))) &&
      certificate.verify(authority.publicKey) &&
      Date.parse(certificate.validTo) - now > RENEW_BEFORE_MS &&
      sameNames(certificate, names)
    );
  } catch {
    return false;
  }
}

function sameNames(certificate: X509Certificate, names: readonly string[]): boolean {
  const held = new Set(namesOf(certificate));
  const wanted = new Set(names);
  return held.size === wanted.size && [...wanted].every((name) => held.has(name));
}

function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  return subjectAltName.split(", ").map((entry) => entry.replace(/^DNS:/, ""));
}
