import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  caFile,
  checkOwnCertificate,
  edgeCertificateFiles,
  ensureCertificate,
  heldNames,
  isCertificateName,
} from "./certificate-authority.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const NAMES = ["localhost", "*.localhost", "*.production.localhost"];
const now = Date.now();

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skep-ca-"));
  await ensureCertificate(folder, NAMES, now);
});
afterAll(() => rmSync(folder, { recursive: true }));

const ca = () => new X509Certificate(readFileSync(caFile(folder)));
const leaf = () => new X509Certificate(readFileSync(edgeCertificateFiles(folder).certFile));

describe("the local CA", () => {
  test("is a CA that signs itself, with its key beside it", () => {
    expect(ca().ca).toBe(true);
    expect(ca().verify(ca().publicKey)).toBe(true);
    expect(statSync(join(folder, "ca-key.pem")).mode & 0o777).toBe(0o600);
  });

  test("signs a server certificate for exactly the names", () => {
    expect(leaf().checkIssued(ca())).toBe(true);
    expect(leaf().verify(ca().publicKey)).toBe(true);
    expect(leaf().ca).toBe(false);
    expect(heldNames(folder)).toEqual(NAMES);
    expect(leaf().checkHost("hello.production.localhost")).toBe("*.production.localhost");
    expect(leaf().checkHost("hello.other.localhost")).toBeUndefined();
    // Browsers refuse more than 398 days.
    expect(Date.parse(leaf().validTo) - Date.parse(leaf().validFrom)).toBeLessThan(398 * DAY_MS);
  });

  test("is accepted in a TLS handshake by a client that trusts it, and only by such a client", async () => {
    const { certFile, keyFile } = edgeCertificateFiles(folder);
    const server = tls.createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) });
    server.on("tlsClientError", () => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const connect = (options: tls.ConnectionOptions) =>
      new Promise<string>((resolve) => {
        const host = { host: "127.0.0.1", port, servername: "x.production.localhost" };
        const socket = tls.connect({ ...host, ...options }, () => {
          resolve("accepted");
          socket.destroy();
        });
        socket.on("error", (error) => resolve((error as NodeJS.ErrnoException).code ?? ""));
      });
    expect(await connect({ ca: readFileSync(caFile(folder)) })).toBe("accepted");
    expect(await connect({})).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    server.close();
  });
});

describe("ensureCertificate", () => {
  test("writes nothing while names and time are as they were", async () => {
    const before = leaf().fingerprint256;
    const reordered = NAMES.toReversed();
    expect(await ensureCertificate(folder, reordered, now + 300 * DAY_MS)).toBe(false);
    expect(leaf().fingerprint256).toBe(before);
  });

  test("issues anew for other names, and 30 days before the end, with the same CA", async () => {
    const authority = ca().fingerprint256;
    expect(await ensureCertificate(folder, [...NAMES, "*.a.localhost"], now)).toBe(true);
    expect(heldNames(folder)).toContain("*.a.localhost");
    expect(await ensureCertificate(folder, NAMES, now)).toBe(true);
    expect(heldNames(folder)).toEqual(NAMES);
    expect(await ensureCertificate(folder, NAMES, now + 340 * DAY_MS)).toBe(true);
    expect(ca().fingerprint256).toBe(authority);
  });

  test("replaces a damaged edge certificate, but never a damaged CA", async () => {
    writeFileSync(edgeCertificateFiles(folder).certFile, "garbage");
    expect(await ensureCertificate(folder, NAMES, now)).toBe(true);
    const key = readFileSync(join(folder, "ca-key.pem"));
    writeFileSync(join(folder, "ca-key.pem"), "garbage");
    await expect(ensureCertificate(folder, NAMES, now)).rejects.toThrow("the local CA in");
    writeFileSync(join(folder, "ca-key.pem"), key);
  });
});

test("checkOwnCertificate wants a certificate and its own key", () => {
  const { certFile, keyFile } = edgeCertificateFiles(folder);
  expect(() => checkOwnCertificate({ certFile, keyFile })).not.toThrow();
  expect(() => checkOwnCertificate({ certFile: keyFile, keyFile })).toThrow("--tls-cert:");
  expect(() => checkOwnCertificate({ certFile, keyFile: certFile })).toThrow("--tls-key:");
  expect(() => checkOwnCertificate({ certFile: caFile(folder), keyFile })).toThrow(
    `--tls-key: ${keyFile} is not the private key of`,
  );
});

test.each([
  ["*.production.localhost", true],
  ["example.com", true],
  ["*", false],
  ["a.*.com", false],
  ["[::1]", false],
  ["a, DNS:b", false],
])("isCertificateName(%j) is %j", (name, expected) => {
  expect(isCertificateName(name)).toBe(expected);
});
