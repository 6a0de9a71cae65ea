/**
 * WebSockets of functions in cells. workerd carries one from process to process by itself, but loses a client's
 * close on the way: the client sees 1006 and no reason. So frames and closes are passed on here, one by one.
 * There is no backpressure: what a slow reader has not taken yet waits in this process's memory.
 */

/** Close codes that stand for "none was sent"; none of them may be sent. */
const NO_STATUS = 1005;
const ABNORMAL = 1006;
const INTERNAL_ERROR = 1011;

/** Both ends of a WebSocket that is passed on. */
export interface Relay {
  close(code: number, reason: string): void;
}

/** Any other response is returned as it is. `onOpen` gets each relay; what it returns is called once, when that is closed. */
export function relayed(response: Response, onOpen?: (relay: Relay) => () => void): Response {
  const { webSocket: cell, headers, status } = response;
  if (cell === null) return response;
  const { 0: client, 1: server } = new WebSocketPair();
  // Each side answers a close itself; this process must not do it for them.
  for (const socket of [cell, server]) {
    socket.accept({ allowHalfOpen: true });
    socket.binaryType = "arraybuffer";
  }
  pass(cell, server);
  pass(server, cell);
  if (onOpen !== undefined) {
    const ended = onOpen({
      close(code, reason) {
        for (const socket of [server, cell]) close(socket, code, reason);
      },
    });
    for (const type of ["close", "error"] as const) {
      cell.addEventListener(type, ended, { once: true });
    }
  }
  return new Response(null, { status, headers, webSocket: client });
}

function pass(from: WebSocket, to: WebSocket): void {
  from.addEventListener("message", ({ data }) => {
    try {
      to.send(data);
    } catch {
      // It is closed, and its close event is on its way to `from`.
    }
  });
  from.addEventListener("close", ({ code, reason }) => close(to, code, reason));
  from.addEventListener("error", () => close(to, ABNORMAL, ""));
}

function close(socket: WebSocket, code: number, reason: string): void {
  try {
    if (code === NO_STATUS) socket.close();
    else if (code === ABNORMAL) socket.close(INTERNAL_ERROR, "connection lost");
    else socket.close(code, reason);
  } catch {
    // It was closed before, by the other event or by the other side.
  }
}
