// Real workerd processes with the widest rights that a configuration can give, to see what is left of them in the
// sandbox, and that workerd can still be watched, drained and killed there.
import { once } from "node:events";
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openListeningSockets, type ListeningSocket } from "../listening-sockets.ts";
import { identify } from "../process-identity.ts";
import { endLeftovers } from "../process-list.ts";
import { findWorkerd } from "../workerd-binary.ts";
import { WorkerdProcess } from "../workerd-process.ts";
import { detectLayers } from "./layers.ts";
import { sandboxesOf } from "./leftovers.ts";

const binary = findWorkerd();
const directory = mkdtempSync(join(tmpdir(), "skep-sandbox-"));
const outside = createServer((_, response) => response.end("hello from outside"));
const processes: WorkerdProcess[] = [];
const layers = await detectLayers(binary, [directory]);
const [lack] = layers.missing;
const reason = lack === undefined ? "" : ` (skipped: ${lack.why})`;

const CONFIG = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "captive", worker = (
      compatibilityDate = "2026-11-01",
      modules = [(name = "captive.js", esModule = embed "captive.js")],
      bindings = [(name = "ROOT", service = "root"), (name = "NETWORK", service = "internet")],
    )),
    (name = "root", disk = (path = "/", allowDotfiles = true)),
    (name = "internet", network = (allow = ["public", "private", "local", "network"])),
  ],
  sockets = [
    (name = "http", http = (), service = "captive"),
    (name = "own/LIFE.sock", address = "unix:own/LIFE.sock", http = (), service = "captive"),
  ],
);
`;

interface Captive {
  readonly process: WorkerdProcess;
  readonly socket: ListeningSocket;
  ask(what: string, of?: string): Promise<string>;
}

let lives = 0;

/** Serves on a TCP socket that it inherits and on a unix socket of its own. */
async function startCaptive(isSandboxed: boolean): Promise<Captive> {
  const life = ++lives;
  const configFile = `captive.${life}.capnp`;
  writeFileSync(join(directory, configFile), CONFIG.replaceAll("LIFE", String(life)));
  const options = { host: "127.0.0.1", port: 0, queues: 1, hostOption: "", portOption: "" };
  const [socket] = await openListeningSockets([options]);
  const [fd] = socket?.fds ?? [];
  if (socket === undefined || fd === undefined) throw new Error("no listening socket");
  const { bubblewrap } = layers;
  const process = new WorkerdProcess(
    `captive ${life}`,
    life,
    {
      kind: "cell",
      binary,
      directory,
      configFile,
      sockets: ["http", `own/${life}.sock`],
      inherited: { http: fd },
      environment: {},
      sandbox:
        isSandboxed && bubblewrap
          ? {
              bubblewrap,
              readOnly: [configFile, "captive.js"].map((name) => join(directory, name)),
              writable: [join(directory, "own")],
            }
          : undefined,
    },
    () => {},
  );
  processes.push(process);
  await process.ready;
  const ask = async (what: string, of = "") => {
    const query = new URLSearchParams({ of });
    const headers = { connection: "close" };
    const answer = await fetch(`http://127.0.0.1:${socket.port}/${what}?${query.toString()}`, {
      headers,
    });
    return answer.text();
  };
  return { process, socket, ask };
}

beforeAll(async () => {
  copyFileSync(join(import.meta.dirname, "fixtures/captive.js"), join(directory, "captive.js"));
  mkdirSync(join(directory, "own"));
  outside.listen(0, "127.0.0.1");
  await once(outside, "listening");
});
afterAll(async () => {
  for (const process of processes) process.kill("SIGKILL");
  await Promise.all(processes.map(({ exited }) => exited));
  outside.close();
  rmSync(directory, { recursive: true });
});

const outsideUrl = () => `http://127.0.0.1:${(outside.address() as AddressInfo).port}/`;
const statusOf = ({ process: { workerdPid } }: Captive, name: string) =>
  new RegExp(`^${name}:\\s*(.*)$`, "m").exec(
    readFileSync(`/proc/${workerdPid}/status`, "utf8"),
  )?.[1];

test("without a sandbox the same process reads files and reaches this machine", async () => {
  const captive = await startCaptive(false);
  expect(await captive.ask("file", "/etc/passwd")).toBe("read");
  expect(await captive.ask("network", outsideUrl())).toBe("hello from outside");
  captive.socket.close();
});

test("ends with all that it has forked when it is killed while it is being made", async () => {
  // What bubblewrap forks at the very moment of the kill is out of sight, as is what this one's child has forked.
  const path = join(directory, "forks.sh");
  writeFileSync(path, "#!/bin/sh\n(sleep 600 & echo >&2; wait) & wait\n", { mode: 0o755 });
  const command = {
    kind: "cell",
    binary,
    directory,
    configFile: "none.capnp",
    sockets: ["http"],
    inherited: {},
    environment: { PATH: "/usr/bin:/bin" },
    sandbox: {
      bubblewrap: { path, libraries: [], filter: undefined },
      readOnly: [],
      writable: [],
    },
  } as const;
  const process = new WorkerdProcess("forks", ++lives, command, () => {});
  await expect.poll(() => process.outputBytes).toBe(1);
  process.kill("SIGKILL");
  // This comes when nobody has its output any more.
  expect(await process.exited).toEqual({ code: null, signal: "SIGKILL" });
});

describe.skipIf(lack !== undefined)(`in the sandbox${reason}`, () => {
  let captive: Captive;
  beforeAll(async () => {
    captive = await startCaptive(true);
  });
  afterAll(() => captive.socket.close());

  test("answers on the listening socket that it inherited", async () => {
    expect(await captive.ask("slow", "0")).toBe("done");
  });

  test("finds no file but those of its runtime and its own", async () => {
    for (const path of ["/etc/passwd", "/etc/hostname", join(directory, "captive.1.capnp")]) {
      expect([path, await captive.ask("file", path)]).toEqual([path, "status 404"]);
    }
    const own = join(directory, `captive.${captive.process.life}.capnp`);
    expect(await captive.ask("file", own)).toBe("read");
  });

  test("reaches no network, this machine included", async () => {
    expect(await captive.ask("network", outsideUrl())).toMatch(/^failed: /);
  });

  test("has neither capabilities nor a way to new privileges, and is filtered", () => {
    expect(statusOf(captive, "CapEff")).toBe("0000000000000000");
    expect(statusOf(captive, "CapBnd")).toBe("0000000000000000");
    expect(statusOf(captive, "NoNewPrivs")).toBe("1");
    expect(statusOf(captive, "Seccomp")).toBe("2");
  });

  test("is open to the supervisor's eyes", () => {
    const pid = captive.process.workerdPid ?? 0;
    expect(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8")).toMatch(/^\d+ /);
    expect(readFileSync(`/proc/${pid}/task/${pid}/io`, "utf8")).toContain("rchar");
    closeSync(openSync(`/proc/${pid}/mem`, "r"));
  });

  test("finishes what it has when it is told to end", async () => {
    const draining = await startCaptive(true);
    const slow = draining.ask("slow", "200");
    await expect.poll(() => draining.ask("slow", "0")).toBe("done");
    draining.process.kill("SIGTERM");
    draining.socket.close();
    expect(await slow).toBe("done");
    expect(await draining.process.exited).toEqual({ code: 0, signal: null });
  });

  test("ends at once when it is killed, and nothing is left of it", async () => {
    const killed = await startCaptive(true);
    const { identities } = killed.process;
    expect(identities).toHaveLength(2);
    killed.process.kill("SIGKILL");
    killed.socket.close();
    expect(await killed.process.exited).toEqual({ code: null, signal: "SIGKILL" });
    expect(identities.map(({ pid }) => identify(pid))).toEqual([undefined, undefined]);
  });

  test("ends with the monitor between it and the supervisor", async () => {
    const orphan = await startCaptive(true);
    const [monitor, workerd] = orphan.process.identities;
    process.kill(monitor?.pid ?? 0, "SIGKILL");
    orphan.socket.close();
    await orphan.process.exited;
    await expect.poll(() => identify(workerd?.pid ?? 0)).toBeUndefined();
  });

  test("is found and ended by the next start although no list has it", async () => {
    const left = await startCaptive(true);
    expect(sandboxesOf(`${directory}-of-another-platform`)).toEqual([]);
    const [monitor] = left.process.identities;
    expect(sandboxesOf(directory)).toContainEqual(monitor);
    // It has no list: whatever it ends it has found by itself.
    await endLeftovers(directory);
    left.socket.close();
    expect(monitor && identify(monitor.pid)).toBeUndefined();
    await left.process.exited;
  });
});
