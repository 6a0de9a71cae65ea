/**
 * Hostile functions, clients and uploads against the real platform (test/probes): each must get nothing. A file of
 * probes per family; the families run side by side on one platform, which is itself part of the test, since whatever
 * one of them breaks shows in the others.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bindings } from "./probes/bindings.ts";
import { code } from "./probes/code.ts";
import { control } from "./probes/control.ts";
import { environment } from "./probes/environment.ts";
import { errors } from "./probes/errors.ts";
import { files } from "./probes/files.ts";
import { handlers } from "./probes/handlers.ts";
import { headers } from "./probes/headers.ts";
import { modules } from "./probes/modules.ts";
import { neighbours } from "./probes/neighbours.ts";
import { network } from "./probes/network.ts";
import { output } from "./probes/output.ts";
import { pollution } from "./probes/pollution.ts";
import { expectNoSentinel, obtainsNothing, uploadForm, type Probe } from "./probes/probe.ts";
import { smuggling } from "./probes/smuggling.ts";
import { startStage, type Stage } from "./probes/stage.ts";
import { streams } from "./probes/streams.ts";
import { uploads } from "./probes/uploads.ts";

const FAMILIES = {
  files,
  environment,
  network,
  modules,
  neighbours,
  control,
  headers,
  smuggling,
  pollution,
  handlers,
  errors,
  streams,
  uploads,
  bindings,
};

/** Those that depend on where a function runs, once more beside the dispatcher instead of behind a hop. */
const FAMILIES_IN_EDGES = {
  neighbours,
  control,
  headers,
  smuggling,
  pollution,
  handlers,
  errors,
  streams,
  bindings,
};

/**
 * One after the other. Of code, since it takes much of the processor; of output, since what functions of a process
 * log is bounded together.
 */
const ALONE = { code, output };

let stage: Stage;
let processes: string;

beforeAll(async () => {
  stage = await startStage();
  for (let i = 0; i < 10; i++) {
    await stage.askVictim();
    await stage.inEdges.askVictim();
  }
  processes = await trustedProcesses();
});

afterAll(async () => {
  await stage.stop();
});

/** Those that no probe may end. Cells are there to be lost; edges are replaced when a busy machine makes them late. */
async function trustedProcesses(): Promise<string> {
  const text = await readFile(join(stage.platform.data, "run/processes.json"), "utf8");
  const { supervisor, hub } = JSON.parse(text) as Record<string, unknown>;
  return JSON.stringify({ supervisor, hub });
}

test("the stage itself would notice: the victim holds its secret, and a leak fails", async () => {
  expect(await stage.askVictim()).toMatchObject({ secret: stage.victimSecret, polluted: [] });
  expect(() => expectNoSentinel(stage, `…${stage.victimSecret}…`)).toThrow("it got these");
  expect(stage.sentinels.filter(({ value }) => value.length < 10)).toEqual([]);
  expect(stage.contacts()).toBe(0);
});

const listed = (families: Readonly<Record<string, readonly Probe[]>>) =>
  Object.entries(families).flatMap(([family, probes]) =>
    probes.map(
      (probe, index) => [`${family}: ${probe.name}`, probe, `${family}-${index}`] as const,
    ),
  );

async function run(here: Stage, probe: Probe, script: string): Promise<void> {
  const { source, upload, check } = probe;
  if (source !== undefined) await here.deploy(script, uploadForm(source, upload));
  if (check !== undefined) await check(here, script);
  else await obtainsNothing(here, script, source ?? "");
}

describe.concurrent("in cells", () => {
  test.for(listed(FAMILIES))("%s", async ([, probe, script]) => {
    await run(stage, probe, script);
    expect(stage.contacts()).toBe(0);
  });
});

describe.concurrent("in edges", () => {
  test.for(listed(FAMILIES_IN_EDGES))("%s", async ([, probe, script]) => {
    await run(stage.inEdges, probe, script);
    expect(stage.contacts()).toBe(0);
  });
});

describe("one by one", () => {
  test.for(listed(ALONE))("%s", async ([, probe, script]) => {
    await run(stage, probe, script);
    expect(stage.contacts()).toBe(0);
  });
});

test("after all probes no server on this machine was contacted, no trusted process ended, the victim is intact", async () => {
  expect(stage.contacts()).toBe(0);
  const told = stage.platform.output.split("\n").filter((line) => line.startsWith("skep: "));
  expect(await trustedProcesses(), told.join("\n")).toBe(processes);
  for (let i = 0; i < 10; i++) {
    expect(await stage.askVictim()).toMatchObject({ secret: stage.victimSecret, polluted: [] });
  }
  expectNoSentinel(stage, stage.platform.output.replaceAll(stage.targets.apiToken, ""));
});
