// Machines on which a sandbox can be made and machines on which it cannot: the latter by hiding bubblewrap, or by
// putting a program in its place that fails as bubblewrap does.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, onTestFinished, test, vi } from "vitest";
import { failToStart, startFixture, temporaryData } from "../fixtures/running-fixture.ts";
import { findWorkerd } from "../workerd-binary.ts";
import { demandSandbox, describeLayers, detectLayers } from "./layers.ts";

const binary = findWorkerd();
const folder = mkdtempSync(join(tmpdir(), "skep-layers-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => void vi.unstubAllEnvs());

const here = await detectLayers(binary, [folder]);
const isLinux = process.platform === "linux";

const [lack] = here.missing;

test.runIf(lack === undefined)("a sandbox that can be made is whole", () => {
  expect(here.bubblewrap?.filter?.length).toBeGreaterThan(0);
  expect(describeLayers(here)).toBe("on: namespaces, seccomp");
  expect(() => demandSandbox(here)).not.toThrow();
});

test.runIf(isLinux)("names the program that is not installed, and how to get it", async () => {
  vi.stubEnv("PATH", folder);
  const layers = await detectLayers(binary, [folder]);
  expect(layers.bubblewrap).toBeUndefined();
  expect(describeLayers(layers)).toBe(
    "off: bubblewrap is not installed; skep doctor tells what to do",
  );
  expect(() => demandSandbox(layers)).toThrow(
    /^--require-sandbox: .*\n {2}namespaces: bubblewrap is not installed; .*apt install bubblewrap/,
  );
});

test.runIf(isLinux)("repeats the words of a bubblewrap that may not work", async () => {
  const program = join(folder, "refused/bwrap");
  vi.stubEnv("PATH", join(folder, "refused"));
  writeProgram(program, "echo 'bwrap: No permissions to create new namespace' >&2; exit 1");
  const layers = await detectLayers(binary, [folder]);
  expect(layers.bubblewrap).toBeUndefined();
  expect(layers.missing[0]?.why).toBe(
    "bubblewrap does not work here: bwrap: No permissions to create new namespace",
  );
});

test.runIf(lack === undefined)("does without the filter where it is refused", async () => {
  const program = join(folder, "unfiltered/bwrap");
  vi.stubEnv("PATH", join(folder, "unfiltered"));
  writeProgram(
    program,
    `case "$*" in *--seccomp*) echo 'bwrap: prctl(PR_SET_SECCOMP)' >&2; exit 1;; esac`,
    `exec ${here.bubblewrap?.path} "$@"`,
  );
  const layers = await detectLayers(binary, [folder]);
  expect(layers.bubblewrap).toMatchObject({ path: program, filter: undefined });
  expect(describeLayers(layers)).toBe(
    "without seccomp: the filter does not work here: bwrap: prctl(PR_SET_SECCOMP); skep doctor tells what to do",
  );
});

test("without a sandbox a platform starts, but not if one is required", async () => {
  vi.stubEnv("PATH", folder);
  const { data, remove } = temporaryData();
  onTestFinished(remove);
  const { code, stderr } = await failToStart(data, { "require-sandbox": "on" });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^--require-sandbox: the sandbox is not whole:\n {2}namespaces: /);

  const platform = await startFixture(data);
  onTestFinished(() => void platform.child.kill("SIGKILL"));
  expect((await platform.call(platform.ports.http, "/peer?index=1")).status).toBe(200);
}, 20_000);

function writeProgram(path: string, ...lines: string[]): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, ["#!/bin/sh", ...lines, ""].join("\n"));
  chmodSync(path, 0o755);
}
