/** The classes whose objects the cases use. */
import { DurableObject } from "cloudflare:workers";
import { told } from "./cases.ts";
import { storageCases, type Inside } from "./durable-object-storage.ts";
import type { ObjectsEnv } from "./durable-objects.ts";

class OwnError extends Error {
  override readonly name = "OwnError";
}

const ERRORS = { Error, RangeError, OwnError };

export class Thing extends DurableObject<ObjectsEnv> implements Inside {
  readonly own = "a field";
  readonly storage: DurableObjectStorage;
  readonly state: DurableObjectState;
  alarms: Inside["alarms"] = [];
  readonly #memory: string[] = [];
  #isReady = false;
  #closed = Promise.withResolvers<unknown>();

  constructor(state: DurableObjectState, env: ObjectsEnv) {
    super(state, env);
    this.state = state;
    this.storage = state.storage;
    void state.blockConcurrencyWhile(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      this.#isReady = true;
    });
  }

  /** A case of durable-object-storage.ts; as JSON. */
  async run(name: string): Promise<string> {
    try {
      return JSON.stringify({ answer: await told(await storageCases[name]?.(this)) });
    } catch (error) {
      return JSON.stringify({ threw: await told(error) });
    }
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    const { retryCount = -1, isRetry = false } = info ?? {};
    this.alarms.push({ retryCount, isRetry });
    if ((await this.storage.get("alarm-fails")) === true && retryCount === 0) {
      throw new Error("the first time it fails");
    }
  }

  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/seen": {
        const own = ["x-one", "x-two", "content-type", "x-skep-object", "x-skep-call"];
        const headers = own.map((name) => [name, request.headers.get(name)]);
        const { method, url: seen, body } = request;
        const hasBody = body !== null;
        return Response.json({ method, url: seen, headers, hasBody, body: await request.text() });
      }
      case "/echo":
        return new Response(request.body);
      case "/count": {
        let bytes = 0;
        for await (const chunk of request.body ?? []) bytes += chunk.byteLength;
        return new Response(String(bytes));
      }
      case "/large":
        return new Response(new Uint8Array(3_000_000));
      case "/text":
        return new Response("text", { headers: { "x-answer": "yes" } });
      case "/status": {
        const headers = new Headers({ "x-answer": "yes" });
        headers.append("set-cookie", "a=1");
        headers.append("set-cookie", "b=2");
        return new Response("odd", { status: 418, statusText: "Teapot", headers });
      }
      case "/empty":
        return new Response(null, { status: 204 });
      case "/redirect":
        return Response.redirect("http://o/seen", 302);
      case "/throw":
        throw new Error("thrown by fetch");
      case "/throw-type":
        throw new TypeError("a type thrown by fetch");
      case "/socket":
        return this.#accept(request);
      case "/hibernate":
        return this.#hibernate(url.searchParams);
      default:
        return new Response("nothing here", { status: 404 });
    }
  }

  #accept(request: Request): Response {
    if (request.headers.get("upgrade") !== "websocket") {
      return new Response("expected an upgrade", { status: 426 });
    }
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.addEventListener("message", ({ data }) => {
      if (data === "close") server.close(4000, "as you say");
      else server.send(typeof data === "string" ? `you said ${data}` : data);
    });
    return new Response(null, { status: 101, webSocket: client });
  }

  #hibernate(query: URLSearchParams): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.state.acceptWebSocket(server, query.getAll("tag"));
    server.serializeAttachment({ tags: query.getAll("tag"), at: new Date(7) });
    if (query.has("auto")) {
      this.state.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    }
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    if (message === "close") socket.close(4002, "as you say");
    else if (message === "attachment")
      socket.send(JSON.stringify(await told(socket.deserializeAttachment())));
    else socket.send(`you said ${typeof message === "string" ? message : "bytes"}`);
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    socket.close(code, reason);
    this.#closed.resolve({ code, reason });
  }

  sockets(): Record<string, number | string[][]> {
    const { state } = this;
    return {
      all: state.getWebSockets().length,
      a: state.getWebSockets("a").length,
      b: state.getWebSockets("b").length,
      tags: state.getWebSockets("a").map((socket) => state.getTags(socket)),
    };
  }

  broadcast(text: string): void {
    for (const socket of this.state.getWebSockets()) socket.send(text);
  }

  closed(): Promise<unknown> {
    return this.#closed.promise;
  }

  add(a: number, b: number): number {
    return a + b;
  }

  async later(text: string): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return `later ${text}`;
  }

  nothing(): void {}

  same<T>(value: T): T {
    return value;
  }

  count(...args: readonly unknown[]): number {
    return args.length;
  }

  length(text: string): number {
    return text.length;
  }

  fail(kind: keyof typeof ERRORS): never {
    throw new ERRORS[kind](`it failed with ${kind}`);
  }

  remember(text: string): string[] {
    this.#memory.push(text);
    return this.#memory;
  }

  self(expected: string): [boolean, string | undefined] {
    return [String(this.state.id) === expected, this.state.id.name];
  }

  async increment(): Promise<number> {
    const count = ((await this.storage.get<number>("count")) ?? 0) + 1;
    await this.storage.put("count", count);
    return count;
  }

  abort(reason: string): void {
    this.state.abort(reason);
  }

  isReady(): boolean {
    return this.#isReady;
  }

  async callOther(name: string, add: number): Promise<number> {
    return this.env.THINGS.getByName(name).add(add, 22);
  }
}

export class Bare extends DurableObject {
  hello(name: string): string {
    return `hello ${name}`;
  }
}
