import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isToken, openDataDirectory, writePrivateFile } from "./data-directory.ts";
import { identify, isAlive } from "./process-identity.ts";
import { formatSecretKeyFile, newSecretKey } from "./secret-keys.ts";

let root: string;
beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), "skep-data-")), "data");
});
afterEach(() => rmSync(join(root, ".."), { recursive: true }));

const modeOf = (name: string) => (statSync(join(root, name)).mode & 0o777).toString(8);

describe("openDataDirectory", () => {
  test("creates the layout, readable by its owner only", () => {
    const { accountId, token, secretKeys, paths } = openDataDirectory(root);
    expect(accountId).toMatch(/^[0-9a-f]{32}$/);
    expect(isToken(token)).toBe(true);
    expect(Buffer.from(secretKeys(), "base64")).toHaveLength(32);
    expect(["token", "secret.key", "account"].map(modeOf)).toEqual(["600", "600", "600"]);
    expect([".", "ca", "state", "blobs", "run"].map(modeOf)).toEqual(Array(5).fill("700"));
    expect(paths.run).toBe(join(paths.root, "run"));
  });

  test("finds the same keys again", () => {
    const first = openDataDirectory(root);
    first.lock.release();
    const { accountId, token, secretKeys } = openDataDirectory(root);
    expect([accountId, token, secretKeys()]).toEqual([
      first.accountId,
      first.token,
      first.secretKeys(),
    ]);
  });

  test("makes every directory other keys", () => {
    const other = openDataDirectory(join(root, "../other"));
    const { accountId, token, secretKeys } = openDataDirectory(root);
    expect(accountId).not.toBe(other.accountId);
    expect(token).not.toBe(other.token);
    expect(secretKeys()).not.toBe(other.secretKeys());
  });

  test.each(["token", "secret.key", "account"])("refuses a damaged %s", (name) => {
    openDataDirectory(root).lock.release();
    writeFileSync(join(root, name), "garbage");
    expect(() => openDataDirectory(root)).toThrow(`${join(root, name)} is damaged`);
    // A refused directory is not left locked.
    expect(existsSync(join(root, "lock"))).toBe(false);
  });

  test.each(["token", "secret.key"])("refuses a %s that others may read", (name) => {
    openDataDirectory(root).lock.release();
    chmodSync(join(root, name), 0o640);
    expect(() => openDataDirectory(root)).toThrow(`(mode 640); close it with "chmod 600 `);
    chmodSync(join(root, name), 0o600);
    openDataDirectory(root);
  });

  test("reads several keys, and sees when they change", () => {
    const { secretKeys, lock } = openDataDirectory(root);
    const [newer, older] = [newSecretKey(), secretKeys()];
    writePrivateFile(join(root, "secret.key"), formatSecretKeyFile([newer, older]));
    expect(secretKeys()).toBe(`${newer},${older}`);
    writeFileSync(join(root, "secret.key"), "half wri");
    expect(secretKeys()).toBe(`${newer},${older}`);
    lock.release();
    expect(() => openDataDirectory(root)).toThrow("is damaged");
  });

  test("takes keys of the environment instead of a file, never beside one", () => {
    const key = newSecretKey();
    const { secretKeys, lock } = openDataDirectory(root, key);
    expect(secretKeys()).toBe(key);
    expect(existsSync(join(root, "secret.key"))).toBe(false);
    lock.release();
    writePrivateFile(join(root, "secret.key"), formatSecretKeyFile([key]));
    expect(() => openDataDirectory(root, key)).toThrow("SKEP_SECRET_KEY is set, but");
  });

  test("does not replace a key that stored data needs", () => {
    openDataDirectory(root).lock.release();
    writeFileSync(join(root, "state/database"), "");
    rmSync(join(root, "secret.key"));
    expect(() => openDataDirectory(root)).toThrow("secret.key is missing");
    expect(existsSync(join(root, "secret.key"))).toBe(false);
  });

  test("refuses a file, a file on the way, and a file where a folder belongs", () => {
    writeFileSync(root, "");
    expect(() => openDataDirectory(root)).toThrow("is a file where a directory is needed");
    expect(() => openDataDirectory(join(root, "deep/er"))).toThrow("is a file");
    rmSync(root);
    openDataDirectory(root).lock.release();
    rmSync(join(root, "blobs"), { recursive: true });
    writeFileSync(join(root, "blobs"), "");
    expect(() => openDataDirectory(root)).toThrow("blobs is a file where a directory is needed");
  });

  test("refuses a place where nothing can be created", () => {
    expect(() => openDataDirectory("/proc/skep/data")).toThrow("--data: cannot use /proc/skep");
  });

  test("leaves a directory with other people's files alone", () => {
    mkdirSync(root);
    writeFileSync(join(root, "thesis.tex"), "");
    expect(() => openDataDirectory(root)).toThrow("holds other files (such as thesis.tex)");
    expect(readdirSync(root)).toEqual(["thesis.tex"]);
  });
});

describe("the lock", () => {
  test("is held by one process, which the refusal names", () => {
    openDataDirectory(root);
    expect(() => openDataDirectory(root)).toThrow(
      `in use by a platform that runs already (process ${process.pid})`,
    );
  });

  test("counts for nothing when its holder was killed", async () => {
    openDataDirectory(root).lock.release();
    const holder = spawn("sleep", ["60"]);
    const identity = identify(holder.pid ?? 0);
    writeFileSync(join(root, "lock"), JSON.stringify(identity));
    expect(() => openDataDirectory(root)).toThrow("in use");
    holder.kill("SIGKILL");
    await once(holder, "exit");
    expect(openDataDirectory(root).accountId).toMatch(/^[0-9a-f]{32}$/);
  });

  test("counts for nothing when another process has the holder's pid", () => {
    openDataDirectory(root).lock.release();
    writeFileSync(join(root, "lock"), JSON.stringify({ pid: process.pid, startTime: "earlier" }));
    openDataDirectory(root);
    const lock = JSON.parse(readFileSync(join(root, "lock"), "utf8")) as {
      pid: number;
      startTime: string;
    };
    expect(isAlive(lock)).toBe(true);
    expect(readdirSync(root).filter((name) => name.startsWith("lock"))).toEqual(["lock"]);
  });
});
