/** HTTP as bytes, for requests and responses that no HTTP library would send or accept. */
import { connect } from "node:net";

/**
 * Sends `bytes`, then reads until the server closes or says nothing for `silenceMs`. A connection that is
 * reset yields what came before. At most `maxBytes` are read.
 */
export function exchange(
  port: number,
  bytes: string | Uint8Array,
  { silenceMs = 1_500, maxBytes = 8 * 1024 * 1024 } = {},
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const chunks: Buffer[] = [];
    let size = 0;
    const end = () => {
      socket.destroy();
      resolve(Buffer.concat(chunks).toString("latin1"));
    };
    socket.setTimeout(silenceMs, end);
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) end();
    });
    socket.on("error", end);
    socket.on("close", end);
    socket.write(bytes);
  });
}

/** Status lines in what a server sent: one per response. A response may follow another's body on the same line. */
export function statuses(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}
