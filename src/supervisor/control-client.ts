/** Calls a process over its unix socket (protocol/hub.ts). */
import { Buffer } from "node:buffer";
import { request } from "./node-http.ts";

export interface ControlCall {
  /** Path of the socket, absolute or relative to this process's working directory. */
  readonly socket: string;
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: Buffer | string;
  readonly timeoutMs: number;
}

export class ControlTimeout extends Error {
  override readonly name = "ControlTimeout";
}

/**
 * The body of a 2xx answer. Rejects with ControlTimeout when the whole answer is not there in time, with a
 * system error when nobody listens, and with the answer's text for any other status.
 */
export async function callControl(call: ControlCall): Promise<Buffer> {
  const { socket, method, path, body, timeoutMs } = call;
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await new Promise((resolve, reject) => {
      const outgoing = request(
        // No agent: a connection that is kept would break when the process is replaced.
        { socketPath: socket, method, path, signal, agent: false },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
          incoming.on("error", reject);
          incoming.on("end", () => {
            const answer = Buffer.concat(chunks);
            const status = incoming.statusCode ?? 0;
            if (status >= 200 && status < 300) resolve(answer);
            else
              reject(new Error(`${method} ${path} on ${socket}: ${status} ${answer.toString()}`));
          });
        },
      );
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new ControlTimeout(`${method} ${path} on ${socket}: no answer within ${timeoutMs} ms`);
  }
}
