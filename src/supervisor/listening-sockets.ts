/**
 * TCP sockets that the supervisor holds for its whole life and never accepts from. Every edge inherits the
 * same ones, so an edge can be killed and replaced while clients connect: their connections wait in the
 * socket's queue, and no address is ever free for another program.
 *
 * Node cannot listen without accepting: a `net.Server` takes connections from the moment it listens. So this
 * process only binds, through the handle that `node:cluster` uses for the same purpose, and a Node process
 * that lives for some 40 ms calls listen(2) on the inherited descriptors. What a worker thread, blocked for
 * good, would do instead costs twice the time and 20 MB.
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
}

export interface ListeningSocket {
  /** To be inherited by child processes. */
  readonly fd: number;
  readonly address: string;
  readonly port: number;
  /** Ends the queue once no child process holds the socket either. */
  close(): void;
}

/** The parts of libuv's TCP handle that are used here. Each call returns 0 or a negative error number. */
interface TcpHandle {
  readonly fd: number;
  getsockname(out: { address?: string; port?: number }): number;
  close(): void;
}

const { _createServerHandle: createServerHandle } = net as unknown as {
  _createServerHandle: (address: string, port: number, family: number) => TcpHandle | number;
};

/** Longer queues are cut to net.core.somaxconn by the kernel. */
const BACKLOG = 4096;
const LISTEN = `
  const net = require("node:net");
  for (let fd = 3; fd < 3 + Number(process.argv[1]); fd++) net.createServer().listen({ fd, backlog: ${BACKLOG} });
  process.nextTick(() => process.exit(0));
`;

/** All or none. @throws StartError that names the port and its option. */
export async function openListeningSockets(
  requests: readonly SocketRequest[],
): Promise<ListeningSocket[]> {
  const handles: TcpHandle[] = [];
  try {
    const sockets: ListeningSocket[] = [];
    for (const request of requests) {
      const handle = await bind(request);
      handles.push(handle);
      const bound = addressOf(handle, request);
      sockets.push({ fd: handle.fd, ...bound, close: () => handle.close() });
    }
    await listen(handles, requests);
    return sockets;
  } catch (error) {
    for (const handle of handles) handle.close();
    throw error;
  }
}

async function bind(request: SocketRequest): Promise<TcpHandle> {
  const { address, family } = await resolveHost(request);
  const handle = createServerHandle(address, request.port, family);
  if (typeof handle === "number") throw refused(request, handle);
  return handle;
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

/** Also tells that the port is taken: libuv keeps that error of bind(2) for the next call. */
function addressOf(handle: TcpHandle, request: SocketRequest) {
  const out: { address?: string; port?: number } = {};
  const status = handle.getsockname(out);
  if (status !== 0 || out.address === undefined || out.port === undefined) {
    throw refused(request, status);
  }
  return { address: out.address, port: out.port };
}

async function listen(handles: TcpHandle[], requests: readonly SocketRequest[]): Promise<void> {
  const child = spawn(process.execPath, ["-e", LISTEN, String(handles.length)], {
    stdio: ["ignore", "ignore", "pipe", ...handles.map(({ fd }) => fd)],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  const said: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => said.push(text));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  if (status === 0) return;
  // Bound, yet listen(2) fails: another program bound the same port at the same time and was faster.
  const taken = said.join("").includes("EADDRINUSE");
  const ports = requests.map(({ portOption, port }) => `${portOption} ${port}`).join(", ");
  if (taken) throw new StartError(`one of the ports is in use by another program: ${ports}`);
  throw new Error(`cannot listen on ${ports}: ${said.join("").trim()}`);
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
