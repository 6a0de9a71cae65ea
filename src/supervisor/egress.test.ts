// The real egress Worker in its real configuration, called as an edge calls it: with the whole URL, as a proxy.
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findWorkerd } from "./workerd-binary.ts";
import { egressConfig } from "./workerd-config.ts";
import { WorkerdProcess } from "./workerd-process.ts";

const SOURCE = join(import.meta.dirname, "../egress/main.ts");
const directory = mkdtempSync(join(tmpdir(), "skep-egress-"));
const origin = createServer((incoming, response) => {
  const { pathname } = new URL(incoming.url ?? "", "http://origin");
  if (pathname === "/redirect") response.writeHead(302, { location: "/elsewhere" });
  if (pathname === "/forged") response.setHeader("x-skep-egress-error", "not-reachable");
  if (pathname === "/broken") incoming.socket.destroy();
  incoming.pipe(response);
});
const processes: WorkerdProcess[] = [];

/** Starts an egress; `widened` lets it reach this machine, which the real one must not. */
async function startEgress(name: string, widened: boolean): Promise<string> {
  const run = directory;
  const { text, sockets } = egressConfig({ run, state: run, blobs: run, workers: run });
  const wide = text.replace('allow = ["public"]', 'allow = ["public", "private"]');
  expect(wide).not.toBe(text);
  const socket = `${name}.sock`;
  const config = (widened ? wide : text).replace('"unix:egress.sock"', `"unix:${socket}"`);
  writeFileSync(join(run, `${name}.capnp`), config);
  const process = new WorkerdProcess(
    name,
    1,
    {
      binary: findWorkerd(),
      directory: run,
      configFile: `${name}.capnp`,
      sockets,
      inherited: {},
      environment: {},
    },
    () => {},
  );
  processes.push(process);
  await process.ready;
  return join(run, socket);
}

let real: string;
let widened: string;
beforeAll(async () => {
  const source = readFileSync(SOURCE, "utf8");
  writeFileSync(join(directory, "egress.js"), stripTypeScriptTypes(source));
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
  [real, widened] = await Promise.all([startEgress("real", false), startEgress("widened", true)]);
});
afterAll(() => {
  for (const process of processes) process.kill("SIGKILL");
  origin.close();
  rmSync(directory, { recursive: true });
});

function send(socketPath: string, url: string, body = "") {
  return new Promise<{
    status: number;
    error: string | undefined;
    location: string | undefined;
    text: string;
  }>((resolve, reject) => {
    const { host } = new URL(url);
    const outgoing = request(
      { socketPath, path: url, method: "POST", headers: { host }, agent: false },
      (incoming) => {
        let text = "";
        incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        incoming.on("error", reject);
        incoming.on("end", () =>
          resolve({
            status: incoming.statusCode ?? 0,
            error: incoming.headers["x-skep-egress-error"]?.toString(),
            location: incoming.headers.location,
            text,
          }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const originUrl = (path: string, host = "127.0.0.1") =>
  `http://${host}:${(origin.address() as AddressInfo).port}${path}`;

test.each([
  ["loopback", () => originUrl("/")],
  ["a name of loopback", () => originUrl("/", "localhost")],
  ["loopback as a number", () => originUrl("/", "2130706433")],
  ["IPv6-mapped loopback", () => originUrl("/", "[::ffff:127.0.0.1]")],
  ["a private address", () => "http://10.0.0.1/"],
  ["the metadata address", () => "http://169.254.169.254/latest/meta-data/"],
  ["a name without an address", () => "http://nowhere.invalid/"],
])("does not reach %s", async (_, url) => {
  const { status, error, text } = await send(real, url());
  expect({ status, error }).toEqual({ status: 502, error: "not-reachable" });
  expect(text).toContain("has no public address");
});

test("passes requests and answers on unchanged", async () => {
  expect(await send(widened, originUrl("/echo"), "ping")).toMatchObject({
    status: 200,
    text: "ping",
  });
});

test("leaves redirects to the function", async () => {
  expect(await send(widened, originUrl("/redirect"))).toMatchObject({
    status: 302,
    location: "/elsewhere",
  });
});

test("does not let a destination pass for the egress", async () => {
  const answer = await send(widened, originUrl("/forged"), "body");
  expect(answer).toMatchObject({ status: 200, error: undefined, text: "body" });
});

test("tells a failed connection from an address that is not allowed", async () => {
  expect(await send(widened, originUrl("/broken"))).toMatchObject({
    status: 502,
    error: "connection-lost",
  });
});
