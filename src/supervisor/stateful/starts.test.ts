// One process per script at any time, with real workerd processes of the fixture that stands in for cells.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Bundle } from "../../protocol/bundle.ts";
import { readConfig } from "../config.ts";
import { dataPaths } from "../data-directory.ts";
import { Launcher } from "../launcher.ts";
import { readSurroundings } from "../surroundings.ts";
import { findWorkerd } from "../workerd-binary.ts";
import type { WorkerdProcess } from "../workerd-process.ts";
import { OverQuotaError } from "./rooms.ts";
import { StatefulStarts, type StatefulRequest } from "./starts.ts";
import { Turns } from "./turns.ts";

let folder: string;
let launcher: Launcher;
let launched: WorkerdProcess[];
let ended: string[];
let bundle: () => Promise<Bundle>;
let refusal: string | undefined;
const turns = new Turns();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "skep-starts-"));
  const paths = dataPaths(folder);
  for (const path of Object.values(paths)) mkdirSync(path, { recursive: true });
  launcher = new Launcher({
    config: readConfig({ data: folder }, readSurroundings()),
    paths,
    binary: findWorkerd(),
    workers: join(import.meta.dirname, "../fixtures"),
    secretKeys: () => "",
    output: () => {},
  });
  await launcher.prepare();
  launched = [];
  ended = [];
  refusal = undefined;
  bundle = () => Promise.resolve({} as Bundle);
});

afterEach(async () => {
  for (const process of launched) process.kill("SIGKILL");
  await Promise.all(launched.map(({ exited }) => exited));
  rmSync(folder, { recursive: true });
});

function make(): StatefulStarts {
  return new StatefulStarts({
    turns,
    rooms: {
      require: () => (refusal ? Promise.reject(new OverQuotaError(refusal)) : Promise.resolve()),
      watch: () => Promise.resolve(),
    },
    bundle: () => bundle(),
    launch: async () => {
      const process = launcher.cell();
      launched.push(process);
      return process;
    },
    onEnd: (scriptId) => ended.push(scriptId),
  });
}

const request = (versionId: string, scriptId = "s"): StatefulRequest => ({
  versionId,
  namespace: "production",
  script: scriptId,
  memoryMb: 64,
  cpuMs: 50,
  isMistrusted: false,
  isPreview: false,
  subrequests: 50,
  objects: { scriptId, classes: [] },
});

function take(starts: StatefulStarts, of: StatefulRequest): Promise<WorkerdProcess> {
  return new Promise((resolve, reject) => {
    starts.take(of, () => {}, resolve, reject);
  });
}

test("the next process of a script starts when the one before has ended, others at once", async () => {
  const starts = make();
  const first = await take(starts, request("a"));
  const second = take(starts, request("b"));
  const other = await take(starts, request("x", "t"));
  expect(launched).toEqual([first, other]);
  void starts.end(first);
  const next = await second;
  expect(first.exit).toBeDefined();
  expect(next).not.toBe(first);
  expect(ended).toEqual(["s"]);
});

test("who no longer wants one is left out, and keeps nobody waiting", async () => {
  const starts = make();
  const first = await take(starts, request("a"));
  const withdraw = starts.take(
    request("b"),
    () => {},
    () => expect.unreachable(),
    () => expect.unreachable(),
  );
  const third = take(starts, request("c"));
  withdraw();
  first.kill("SIGKILL");
  await third;
  expect(launched).toHaveLength(2);
});

test("a version that does not start is not tried at each call, another one is", async () => {
  const starts = make();
  bundle = () => Promise.reject(new Error("no such version"));
  await expect(take(starts, request("a"))).rejects.toThrow("no such version");
  expect(starts.failureOf(request("a"))).toMatchObject({ message: "no such version" });
  expect(starts.failureOf(request("b"))).toBeUndefined();
  bundle = () => Promise.resolve({} as Bundle);
  await take(starts, request("b"));
  expect(starts.failureOf(request("a"))).toBeUndefined();
});

test("a script without room for its objects gets no process, of whatever version, until there is", async () => {
  const starts = make();
  refusal = "no room";
  await expect(take(starts, request("a"))).rejects.toThrow(OverQuotaError);
  expect(starts.failureOf(request("a"))).toBeInstanceOf(OverQuotaError);
  await expect(take(starts, request("b"))).rejects.toThrow("no room");
  expect(launched).toHaveLength(0);
  refusal = undefined;
  await take(starts, request("b"));
});
