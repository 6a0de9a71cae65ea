/** `skep ca`: where the local CA's certificate is, and how clients come to trust it. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { caFile } from "../supervisor/certificate-authority.ts";
import type { Surroundings } from "../supervisor/config.ts";
import { CommandError } from "./command.ts";
import { readDataPaths, type Values } from "./running-platform.ts";

export async function ca(values: Values, around: Surroundings): Promise<number> {
  const paths = readDataPaths(values, around);
  const file = caFile(paths.ca);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(readFileSync(file));
  } catch (error) {
    throw new CommandError(
      `there is no local CA at ${file}; "skep start" makes one unless it is given --tls-cert`,
      { cause: error },
    );
  }
  process.stdout.write(instructions(file, certificate));
  return 0;
}

function instructions(file: string, { fingerprint256, validTo }: X509Certificate): string {
  const quoted = `'${file.replaceAll("'", String.raw`'\''`)}'`;
  return `The local CA that signs this platform's HTTPS certificate:

  ${file}
  SHA-256 ${fingerprint256}
  valid until ${validTo}

Whoever trusts it trusts every certificate signed with ca-key.pem beside it: keep that file on this machine.

  curl     curl --cacert ${quoted} https://...
  Node     export NODE_EXTRA_CA_CERTS=${quoted}
  Debian   sudo cp ${quoted} /usr/local/share/ca-certificates/skep.crt && sudo update-ca-certificates
  macOS    sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${quoted}
  Firefox  Settings, Privacy & Security, View Certificates, Authorities, Import; tick "identify websites"
`;
}
