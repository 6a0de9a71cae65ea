/**
 * TCP sockets that the supervisor holds for its whole life and never accepts from; edges and hub inherit them. A
 * process can be killed and replaced while clients connect: their connections wait in the socket's queue, and no
 * address is ever free for another program.
 *
 * A port has one socket that all edges share, or one per edge (SO_REUSEPORT), among which the kernel spreads
 * connections. A shared queue goes to whichever edge wakes first: 8 connections that open at once all end in one
 * edge and on one core, which halves the throughput of two. In return it never waits for an edge that hangs.
 *
 * Node cannot listen without accepting: a `net.Server` takes connections from the moment it listens. So this
 * process only binds, through the handle that `node:cluster` uses for the same purpose, and a child process
 * calls listen(2) on the inherited descriptors: Perl, which most systems have and which takes 5 ms, or else
 * Node, which takes some 40. What a worker thread, blocked for good, would do instead costs twice the time
 * and 20 MB.
 */
import { spawn } from "node:child_process";
import { lookup } from "node:dns/promises";
import net from "node:net";
import util from "node:util";
import { StartError } from "./start-error.ts";

export interface SocketRequest {
  /** The options that chose it, for error messages. */
  readonly portOption: string;
  readonly hostOption: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** How many sockets with queues of their own to spread connections over; one where that is not possible. */
  readonly queues: number;
}

export interface ListeningSocket {
  /** One per queue, to be inherited by child processes. */
  readonly fds: readonly number[];
  readonly address: string;
  readonly port: number;
  /** Ends the queues once no child process holds them either. */
  close(): void;
}

/** The parts of libuv's TCP handle that are used here. Each call returns 0 or a negative error number. */
interface TcpHandle {
  readonly fd: number;
  getsockname(out: { address?: string; port?: number }): number;
  close(): void;
}

const { _createServerHandle: createServerHandle } = net as unknown as {
  _createServerHandle: (
    address: string,
    port: number,
    family: number,
    fd?: undefined,
    flags?: number,
  ) => TcpHandle | number;
};

/** Longer queues are cut to net.core.somaxconn by the kernel. */
const BACKLOG = 4096;
const FIRST_FD = 3;
const LISTEN_IN_PERL = `
  for my $fd (${FIRST_FD} .. ${FIRST_FD} - 1 + $ARGV[0]) {
    open(my $socket, "+<&=", $fd) or exit 1;
    listen($socket, ${BACKLOG}) or exit 1;
    push @open, $socket;
  }
`;
const LISTEN_IN_NODE = `
  const net = require("node:net");
  const end = ${FIRST_FD} + Number(process.argv[1]);
  for (let fd = ${FIRST_FD}; fd < end; fd++) net.createServer().listen({ fd, backlog: ${BACKLOG} });
  process.nextTick(() => process.exit(0));
`;

/** UV_TCP_REUSEPORT of libuv, which refuses it on macOS. Older versions of Node do not pass it on. */
const REUSE_PORT = 2;
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const passesFlags = major >= 24 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);

/** All or none. @throws StartError that names the port and its option. */
export async function openListeningSockets(
  requests: readonly SocketRequest[],
): Promise<ListeningSocket[]> {
  const handles: TcpHandle[] = [];
  try {
    const sockets: ListeningSocket[] = [];
    for (const request of requests) {
      const bound = await bind(request);
      handles.push(...bound.handles);
      const close = () => {
        for (const handle of bound.handles) handle.close();
      };
      sockets.push({ ...bound, fds: bound.handles.map(({ fd }) => fd), close });
    }
    await listen(handles, requests);
    return sockets;
  } catch (error) {
    for (const handle of handles) handle.close();
    throw error;
  }
}

interface Bound {
  readonly handles: readonly TcpHandle[];
  readonly address: string;
  readonly port: number;
}

async function bind(request: SocketRequest): Promise<Bound> {
  const { address, family } = await resolveHost(request);
  // Always alone first: with SO_REUSEPORT alone, a second platform of this user would get the port as well.
  const handle = createServerHandle(address, request.port, family);
  if (typeof handle === "number") throw refused(request, handle);
  const name = addressOf(handle);
  if (typeof name === "number") {
    handle.close();
    throw refused(request, name);
  }
  if (request.queues === 1 || !passesFlags) return { handles: [handle], ...name };
  handle.close();
  return bindSpread(request, name, family) ?? (await bind({ ...request, ...name, queues: 1 }));
}

/** undefined if this system, or this Node, cannot bind several sockets to one port. */
function bindSpread(
  { queues }: SocketRequest,
  name: { address: string; port: number },
  family: number,
): Bound | undefined {
  const handles: TcpHandle[] = [];
  for (let queue = 0; queue < queues; queue++) {
    const handle = createServerHandle(name.address, name.port, family, undefined, REUSE_PORT);
    if (typeof handle !== "number") handles.push(handle);
    if (typeof handle === "number" || typeof addressOf(handle) === "number") {
      for (const opened of handles) opened.close();
      return undefined;
    }
  }
  return { handles, ...name };
}

async function resolveHost({ host, hostOption }: SocketRequest) {
  const family = net.isIP(host);
  if (family !== 0) return { address: host, family };
  try {
    return await lookup(host);
  } catch (error) {
    throw new StartError(`${hostOption}: ${host} has no address; give an IP address`, {
      cause: error,
    });
  }
}

/** Also tells, by its error number, that the port is taken: libuv keeps that error of bind(2) for the next call. */
function addressOf(handle: TcpHandle): { address: string; port: number } | number {
  const out: { address?: string; port?: number } = {};
  const status = handle.getsockname(out);
  const { address, port } = out;
  return address === undefined || port === undefined ? status : { address, port };
}

async function listen(handles: TcpHandle[], requests: readonly SocketRequest[]): Promise<void> {
  const fds = handles.map(({ fd }) => fd);
  if ((await runHelper("perl", LISTEN_IN_PERL, fds)) === null) return;
  const failure = await runHelper(process.execPath, LISTEN_IN_NODE, fds);
  if (failure === null) return;
  // Bound, yet listen(2) fails: another program bound the same port at the same time and was faster.
  const taken = failure.includes("EADDRINUSE");
  const ports = requests.map(({ portOption, port }) => `${portOption} ${port}`).join(", ");
  if (taken) throw new StartError(`one of the ports is in use by another program: ${ports}`);
  throw new Error(`cannot listen on ${ports}: ${failure}`);
}

/** null if it ended well; else what it said. */
async function runHelper(
  command: string,
  script: string,
  fds: readonly number[],
): Promise<string | null> {
  const child = spawn(command, ["-e", script, String(fds.length)], {
    stdio: ["ignore", "ignore", "pipe", ...fds],
    env: { ...process.env, NODE_OPTIONS: "", PERL5OPT: "" },
  });
  const said: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => said.push(text));
  return new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (status) => resolve(status === 0 ? null : said.join("").trim()));
  });
}

function refused(request: SocketRequest, status: number): StartError {
  const { host, hostOption, port, portOption } = request;
  const { code, text } = systemError(status);
  switch (code) {
    case "EADDRINUSE":
      return new StartError(
        `${portOption}: port ${port} on ${host} is in use by another program; stop it, or choose another port (0: any free one)`,
      );
    case "EACCES":
      return new StartError(
        `${portOption}: port ${port} needs privileges that this user lacks; choose one from 1024 up`,
      );
    case "EADDRNOTAVAIL":
      return new StartError(`${hostOption}: ${host} is not an address of this machine`);
    default:
      return new StartError(`${portOption}: cannot bind port ${port} on ${host}: ${text}`);
  }
}

function systemError(status: number): { code: string; text: string } {
  const [code, text] = util.getSystemErrorMap().get(status) ?? ["", `error ${status}`];
  return { code, text };
}
