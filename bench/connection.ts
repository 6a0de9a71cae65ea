/**
 * One keep-alive HTTP/1.1 connection with one request under way at a time. It does as little per answer
 * as a correct reading allows (find the end of the head, then the length), because the generator shares
 * two cores with what it measures. Node's own `http` client costs more CPU per request than workerd's
 * answer does.
 */
import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  /** Status line and header fields, without the empty line. */
  readonly head: string;
  readonly body: Buffer;
}

/** Where the answer at the start of `data` ends, or undefined if it is not complete yet. */
export interface AnswerLayout {
  readonly headEnd: number;
  readonly end: number;
  readonly chunked: boolean;
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;

export class Connection {
  readonly #socket: Socket;
  /** What came of an answer that arrived in more than one piece. */
  #partial: Buffer | undefined;
  #resolve: ((answer: Answer) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;
  #closed: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(target: {
    readonly host?: string;
    readonly port: number;
  }): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const socket = connect({
      host: target.host ?? "127.0.0.1",
      port: target.port,
      noDelay: true,
      // One buffer for the life of the connection: no allocation per answer.
      onread: {
        buffer: Buffer.allocUnsafe(65_536),
        callback: (bytes, buffer) => {
          connection.#read((buffer as Buffer).subarray(0, bytes));
          return true;
        },
      },
    });
    const connection = new Connection(socket);
    socket.on("error", (error) => {
      reject(error);
      connection.#fail(error);
    });
    socket.on("close", () => connection.#fail(new Error("the server closed the connection")));
    socket.once("connect", () => resolve(connection));
    return promise;
  }

  /** Sends a whole request and resolves with its answer. Rejects if the connection ends before. */
  async send(request: Buffer): Promise<Answer> {
    if (this.#closed) throw this.#closed;
    if (this.#resolve) throw new Error("a request is under way on this connection already");
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#resolve = resolve;
    this.#reject = reject;
    this.#socket.write(request);
    return promise;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const data = this.#partial ? Buffer.concat([this.#partial, chunk]) : chunk;
    const layout = layoutOf(data);
    if (!layout) {
      // `chunk` is overwritten by the next read.
      this.#partial = this.#partial ? data : Buffer.from(chunk);
      return;
    }
    this.#partial = undefined;
    const resolve = this.#resolve;
    this.#resolve = this.#reject = undefined;
    resolve?.(answerOf(data, layout));
  }

  #fail(error: Error): void {
    this.#closed ??= error;
    this.#reject?.(error);
    this.#resolve = this.#reject = undefined;
  }
}

export function layoutOf(data: Buffer): AnswerLayout | undefined {
  const headEnd = data.indexOf(HEAD_END);
  if (headEnd === -1) return undefined;
  const head = data.toString("latin1", 0, headEnd);
  const bodyStart = headEnd + HEAD_END.length;
  const length = CONTENT_LENGTH.exec(head);
  if (length) {
    const end = bodyStart + Number(length[1]);
    return data.length < end ? undefined : { headEnd, end, chunked: false };
  }
  if (!CHUNKED.test(head)) return { headEnd, end: bodyStart, chunked: false };
  // One request is under way at a time, so the last chunk ends the data.
  const complete = data.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK);
  return complete ? { headEnd, end: data.length, chunked: true } : undefined;
}

function answerOf(data: Buffer, { headEnd, end, chunked }: AnswerLayout): Answer {
  const body = Buffer.from(data.subarray(headEnd + HEAD_END.length, end));
  return {
    status: Number(data.toString("latin1", 9, 12)),
    head: data.toString("latin1", 0, headEnd),
    body: chunked ? joinChunks(body) : body,
  };
}

function joinChunks(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  let offset = 0;
  for (;;) {
    const lineEnd = body.indexOf("\r\n", offset);
    const size = Number.parseInt(body.toString("latin1", offset, lineEnd), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(body.subarray(lineEnd + 2, lineEnd + 2 + size));
    offset = lineEnd + 2 + size + 2;
  }
}

/** The bytes of a GET. `host` chooses the function, as `<script>.<namespace>.<base domain>`. */
export function getRequest(host: string, path = "/"): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
}

/** Value of one header field of an answer's head, or undefined. */
export function headerOf(head: string, name: string): string | undefined {
  const prefix = `${name.toLowerCase()}:`;
  const line = head.split("\r\n").find((field) => field.toLowerCase().startsWith(prefix));
  return line?.slice(prefix.length).trim();
}
