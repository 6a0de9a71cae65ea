/**
 * The keys under which secrets are stored (src/registry/seal.ts): in the file `secret.key` of the data directory, one
 * a line, the newest first, or in the environment, with commas between. The newest seals, all open.
 */
import { createHash, randomBytes } from "node:crypto";
import { StartError } from "./start-error.ts";

/** From which the hub reads its keys; the platform does where there is no file. */
export const SECRET_KEY_VARIABLE = "SKEP_SECRET_KEY";

const KEY = /^[A-Za-z0-9+/]{43}=$/;

export function newSecretKey(): string {
  return randomBytes(32).toString("base64");
}

/** As it stands before what is sealed. */
export function secretKeyId(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 8);
}

/** Of a file or the environment. undefined: one of them is not a key. */
export function parseSecretKeys(text: string): readonly string[] | undefined {
  const keys = text.trim().split(/[\s,]+/);
  return keys.every((key) => KEY.test(key)) ? keys : undefined;
}

export function formatSecretKeyFile(keys: readonly string[]): string {
  return keys.map((key) => `${key}\n`).join("");
}

/** @throws StartError */
export function readSecretKeyVariable(text: string): string {
  const keys = parseSecretKeys(text);
  if (keys !== undefined) return keys.join(",");
  throw new StartError(
    `${SECRET_KEY_VARIABLE}: expected base64 of 32 bytes (such as "openssl rand -base64 32" prints), or several with commas between, the newest first`,
  );
}
