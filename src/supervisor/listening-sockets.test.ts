import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { openListeningSockets, type SocketRequest } from "./listening-sockets.ts";

const request = (port: number, host = "127.0.0.1", queues = 1): SocketRequest => ({
  host,
  queues,
  hostOption: "--host",
  port,
  portOption: "--port",
});

test("holds a queue in which connections wait, without taking them", async () => {
  const [socket] = await openListeningSockets([request(0)]);
  if (!socket) throw new Error("no socket");
  expect(socket.port).toBeGreaterThan(0);
  const client = net.connect(socket.port, socket.address);
  onTestFinished(() => void client.destroy());
  await once(client, "connect");
  let answer = "";
  client.setEncoding("utf8").on("data", (text: string) => (answer += text));

  // Somebody else accepts from the same queue, later, and finds the connection there.
  const server = net.createServer((connection) => connection.end("served"));
  server.listen({ fd: socket.fds[0] });
  await once(client, "end");
  expect(answer).toBe("served");
  server.close();
});

test("spreads connections over several queues, and still has the port for itself", async () => {
  const [socket] = await openListeningSockets([request(0, "127.0.0.1", 3)]);
  if (!socket) throw new Error("no socket");
  expect(new Set(socket.fds).size).toBe(3);
  // A connection waits in one queue only, so every queue must have somebody who accepts.
  const served = [0, 0, 0];
  const servers = socket.fds.map((fd, queue) =>
    net
      .createServer((connection) => {
        served[queue] = (served[queue] ?? 0) + 1;
        connection.end();
      })
      .listen({ fd }),
  );
  const clients = Array.from({ length: 60 }, () =>
    net.connect(socket.port, socket.address).resume(),
  );
  await Promise.all(clients.map((client) => once(client, "close")));
  expect(served.reduce((sum, count) => sum + count)).toBe(60);
  // The chance that 60 connections leave one of three queues empty is 10^-10.
  expect(served).not.toContain(0);
  await expect(openListeningSockets([request(socket.port, "127.0.0.1", 3)])).rejects.toThrow(
    "is in use by another program",
  );
  for (const server of servers) server.close();
});

test("names the port, its option and what to do when the port is taken", async () => {
  const other = net.createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  onTestFinished(() => void other.close());
  const { port } = other.address() as net.AddressInfo;
  const free = request(0);
  await expect(openListeningSockets([free, request(port)])).rejects.toThrow(
    `--port: port ${port} on 127.0.0.1 is in use by another program`,
  );
});

test("names the host when it is not ours, or has no address", async () => {
  await expect(openListeningSockets([request(0, "192.0.2.1")])).rejects.toThrow(
    "--host: 192.0.2.1 is not an address of this machine",
  );
  await expect(openListeningSockets([request(0, "nowhere.invalid")])).rejects.toThrow(
    "--host: nowhere.invalid has no address",
  );
});
