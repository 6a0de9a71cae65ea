// Real cells of the fixtures, and what lies in `run/` while they come and go.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readConfig } from "./config.ts";
import { callControl } from "./control-client.ts";
import { dataPaths } from "./data-directory.ts";
import { Launcher } from "./launcher.ts";
import { socketNames } from "./socket-names.ts";
import { findWorkerd } from "./workerd-binary.ts";
import type { WorkerdProcess } from "./workerd-process.ts";

const folder = mkdtempSync(join(tmpdir(), "skep-launcher-"));
const paths = dataPaths(folder);
const processes: WorkerdProcess[] = [];
afterAll(async () => {
  for (const process of processes) process.kill("SIGKILL");
  await Promise.all(processes.map(({ exited }) => exited));
  rmSync(folder, { recursive: true });
});

test("a link leads to the cell it was pointed at last, and goes with it", async () => {
  mkdirSync(paths.run);
  const launcher = new Launcher({
    config: readConfig({ data: folder }, { workingDirectory: folder, cores: 1, memoryMb: 1024 }),
    paths,
    binary: findWorkerd(),
    workers: join(import.meta.dirname, "fixtures"),
    secretKeys: () => "",
    output: () => {},
  });
  await launcher.prepare();
  const started = async () => {
    const cell = launcher.cell();
    processes.push(cell);
    await cell.ready;
    return cell;
  };
  const [first, second] = [await started(), await started()];
  const link = join(paths.run, socketNames.cell(3));
  const pointTo = ({ life }: WorkerdProcess) =>
    launcher.pointLink(socketNames.cell(3), socketNames.cellLife(life));
  /** The cell of the fixtures answers with an id of its own. */
  const ask = async (socket: string, path: string) => {
    const call = { socket: join(paths.run, socket), method: "GET", path, timeoutMs: 5000 } as const;
    return (await callControl(call)).toString();
  };
  const idOf = ({ life }: WorkerdProcess) => ask(socketNames.cellControl(life), "/");
  // As to a proxy: with the whole URL.
  const idBehindLink = () => ask(socketNames.cell(3), "http://cell/");

  expect(first.ledgerKey).toMatch(/^[0-9a-f]{64}$/);
  expect(second.ledgerKey).not.toBe(first.ledgerKey);
  pointTo(first);
  expect(await idBehindLink()).toBe(await idOf(first));
  pointTo(second);
  expect(await idBehindLink()).toBe(await idOf(second));

  first.kill("SIGKILL");
  await first.exited;
  launcher.forget(first);
  expect(await idBehindLink()).toBe(await idOf(second));
  expect(readdirSync(join(paths.run, "cells")).sort()).toEqual([
    String(second.life),
    "cell-3.sock",
  ]);

  launcher.forget(second);
  expect(existsSync(link)).toBe(false);
  expect(readdirSync(join(paths.run, "cells"))).toEqual([]);
  expect(readdirSync(paths.run).filter((name) => name.endsWith(".capnp"))).toEqual([]);
});
