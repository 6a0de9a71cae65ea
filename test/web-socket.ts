/** A WebSocket client by hand, for tests: it may send unmasked frames, as wrangler does, and stop to read. */
import { connect, type Socket } from "node:net";
import { once } from "node:events";

const TEXT = 0x1;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export class RawWebSocket {
  readonly #socket: Socket;
  readonly #frames: Frame[] = [];
  readonly head: string;
  #buffer: Buffer;
  #isClosed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket, head: string, rest: Buffer) {
    this.#socket = socket;
    this.head = head;
    this.#buffer = rest;
    socket.on("data", (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#parse();
    });
    socket.on("close", () => {
      this.#isClosed = true;
      this.#wake();
    });
    socket.on("error", () => undefined);
    this.#parse();
  }

  /** Rejects if the answer is no upgrade. */
  static async open(
    url: string,
    protocol = "trace-v1",
    address = new URL(url).hostname,
  ): Promise<RawWebSocket> {
    const { port, host, pathname } = new URL(url);
    const socket = connect(Number(port), address);
    await once(socket, "connect");
    socket.write(
      [
        `GET ${pathname} HTTP/1.1`,
        `Host: ${host}`,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        `Sec-WebSocket-Protocol: ${protocol}`,
        "",
        "",
      ].join("\r\n"),
    );
    let received = Buffer.alloc(0);
    for (;;) {
      const end = received.indexOf("\r\n\r\n");
      if (end >= 0) {
        const head = received.subarray(0, end).toString("latin1");
        if (!head.startsWith("HTTP/1.1 101")) {
          socket.destroy();
          throw new Error(head);
        }
        return new RawWebSocket(socket, head, received.subarray(end + 4));
      }
      const [chunk] = (await once(socket, "data")) as [Buffer];
      received = Buffer.concat([received, chunk]);
    }
  }

  sendUnmasked(opcode: "text" | "ping" | "close", payload: string | Buffer): void {
    const bytes = Buffer.from(payload as string);
    const code = { text: TEXT, ping: PING, close: CLOSE }[opcode];
    this.#socket.write(Buffer.concat([Buffer.from([0x80 | code, bytes.length]), bytes]));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The JSON of the next text message; undefined: the connection ends. */
  async next(): Promise<unknown> {
    for (;;) {
      const frame = await this.#nextFrame();
      if (frame === undefined || frame.opcode === CLOSE) return undefined;
      if (frame.opcode === TEXT) return JSON.parse(frame.payload.toString());
    }
  }

  async pong(): Promise<string | undefined> {
    for (;;) {
      const frame = await this.#nextFrame();
      if (frame === undefined || frame.opcode === PONG) return frame?.payload.toString();
    }
  }

  async #nextFrame(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (this.#isClosed) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #parse(): void {
    let offset = 0;
    for (;;) {
      const rest = this.#buffer.subarray(offset);
      if (rest.length < 2) break;
      let length = (rest[1] as number) & 0x7f;
      let start = 2;
      if (length === 126) {
        if (rest.length < 4) break;
        length = rest.readUInt16BE(2);
        start = 4;
      } else if (length === 127) {
        if (rest.length < 10) break;
        length = Number(rest.readBigUInt64BE(2));
        start = 10;
      }
      if (rest.length < start + length) break;
      const payload = Buffer.from(rest.subarray(start, start + length));
      this.#frames.push({ opcode: (rest[0] as number) & 0xf, payload });
      offset += start + length;
    }
    this.#buffer = this.#buffer.subarray(offset);
    this.#wake();
  }
}
