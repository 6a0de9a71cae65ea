/**
 * Makes the certificates of the local CA (P-256). Loading the X.509 library takes longer than all the rest of a
 * start, so this module is imported only when there is something to issue.
 */
import { createPrivateKey, webcrypto } from "node:crypto";
import "./reflect-metadata.ts";

const { subtle } = webcrypto;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 3650;
/** Browsers refuse server certificates that are valid for more than 398 days. */
const LEAF_DAYS = 365;
/** Clients whose clock is a little behind must not refuse a fresh certificate. */
const BACKDATE_MS = 60 * 60 * 1000;

export interface Pems {
  readonly certificate: string;
  /** PKCS #8. */
  readonly key: string;
}

/** `label` tells this CA from others in lists of trusted CAs. */
export async function issueCa(label: string, now: number): Promise<Pems> {
  const x509 = await import("@peculiar/x509");
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ O: ["Skep"] }, { CN: [`Skep local CA ${label}`] }],
    keys,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + CA_DAYS * DAY_MS),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: certificate.toString("pem"), key: await exportKey(keys.privateKey) };
}

/** A server certificate for DNS `names`, which may begin with `*.`. */
export async function issueLeaf(ca: Pems, names: readonly string[], now: number): Promise<Pems> {
  const x509 = await import("@peculiar/x509");
  const issuer = new x509.X509Certificate(ca.certificate);
  const signingKey = await subtle.importKey(
    "pkcs8",
    createPrivateKey(ca.key).export({ format: "der", type: "pkcs8" }),
    ALGORITHM,
    false,
    ["sign"],
  );
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ O: ["Skep"] }, { CN: ["Skep edge"] }],
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(Math.min(now + LEAF_DAYS * DAY_MS, issuer.notAfter.getTime())),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value }))),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: certificate.toString("pem"), key: await exportKey(keys.privateKey) };
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
    .export({ format: "pem", type: "pkcs8" })
    .toString();
}
