import { createServer, type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Connection, getRequest, headerOf } from "./connection.ts";

/** A server that sends `pieces` for each request, one write each. Resolves to an open connection. */
async function connectTo(pieces: readonly string[]): Promise<Connection> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("data", () => void sendSlowly(socket, pieces));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const connection = await Connection.open(server.address() as AddressInfo);
  onTestFinished(() => {
    connection.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return connection;
}

async function sendSlowly(socket: Socket, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const REQUEST = getRequest("a.localhost");

test("reads an answer by its content length, wherever it is cut", async () => {
  const connection = await connectTo([
    "HTTP/1.1 200 OK\r\nX: ",
    "y\r\nContent-Length: 5\r\n\r\nhe",
    "llo",
  ]);
  for (let turn = 0; turn < 2; turn++) {
    const { status, head, body } = await connection.send(REQUEST);
    expect({ status, x: headerOf(head, "x"), body: body.toString() }).toEqual({
      status: 200,
      x: "y",
      body: "hello",
    });
  }
});

test("joins chunks", async () => {
  const head = "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n";
  const connection = await connectTo([`${head}5\r\nhello\r\n`, "6\r\n world\r\n0\r\n\r\n"]);
  const { status, body } = await connection.send(REQUEST);
  expect(status).toBe(201);
  expect(body.toString()).toBe("hello world");
});

test("reads an answer without a body", async () => {
  const connection = await connectTo(["HTTP/1.1 204 No Content\r\n\r\n"]);
  const { status, body } = await connection.send(REQUEST);
  expect(status).toBe(204);
  expect(body.byteLength).toBe(0);
});

test("rejects when the server goes away, and refuses a second request at once", async () => {
  const connection = await connectTo(["HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"]);
  const first = connection.send(REQUEST);
  await expect(connection.send(REQUEST)).rejects.toThrow("under way");
  setTimeout(() => connection.close(), 20);
  await expect(first).rejects.toThrow("closed the connection");
});
