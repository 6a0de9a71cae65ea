/** What the contract suite needs of an implementation of DispatchNamespace, and how it talks to it. */
import type { InlineScript } from "../../src/testing/index.ts";
import { send, type Outgoing } from "../http.ts";

/** An implementation that runs, with probe.js as its dispatcher. */
export interface Target {
  /** Where the dispatcher answers, such as `http://localhost:1234`. */
  readonly url: string;
  /** Resolves once the next request sees it. */
  deploy(name: string, script: InlineScript): Promise<void>;
  stop(): Promise<void>;
}

export type SetUp = (scripts: Readonly<Record<string, InlineScript>>) => Promise<Target>;

/** What the probe does with `env.DISPATCHER.get(script, args, options)`. */
export interface Ask {
  /** Not always a string: some cases are about that. */
  readonly script?: unknown;
  readonly args?: object;
  readonly options?: object;
  /**
   * - `forward`: fetch(request) with the very request that came in
   * - `call`: fetch(url, init)
   * - `repeat`, `together`: fetch(request.url) `count` times, in turn or at once; answers with the texts
   * - `get`: nothing
   * @default "forward"
   */
  readonly mode?: "forward" | "call" | "repeat" | "together" | "get";
  readonly url?: string;
  readonly init?: object;
  readonly count?: number;
}

export interface Thrown {
  readonly name: string;
  readonly message: string;
  /** Set by the runtime on errors that came out of a user Worker. */
  readonly remote?: boolean;
  readonly isError: boolean;
}

/**
 * For `vi.waitFor`. Calls at a higher rate may be what it takes for a server to load a script in more
 * places, and then there is more than one isolate to ask.
 */
export const POLL = { timeout: 10_000, interval: 250 };

/** A client of one target. `ask` is a script's name or more. */
export class Probe {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** Sends a request for the probe to pass on. */
  send(ask: string | Ask, path = "/", { headers, ...rest }: Outgoing = {}): Promise<Response> {
    return send(this.#url + path, { ...rest, headers: { ...headers, "x-probe": encode(ask) } });
  }

  async text(ask: string | Ask, path?: string): Promise<string> {
    return (await this.#answered(ask, path)).text();
  }

  async json<T = unknown>(ask: string | Ask, path?: string): Promise<T> {
    return (await (await this.#answered(ask, path)).json()) as T;
  }

  /** What `get` or `fetch` threw. */
  async thrown(ask: string | Ask): Promise<Thrown & { stage: string | null }> {
    const response = await this.send(ask);
    const stage = response.headers.get("x-probe-threw");
    const text = await response.text();
    if (stage === null) throw new Error(`nothing was thrown; the answer was ${text}`);
    return { stage, ...(JSON.parse(text) as Thrown) };
  }

  /** Resolves when it is open. */
  async webSocket(script: string, path = "/"): Promise<WebSocket> {
    const { host } = new URL(this.#url);
    const query = new URLSearchParams({ probe: encode(script) });
    const socket = new WebSocket(`ws://${host}${path}?${query.toString()}`);
    await event(socket, "open");
    return socket;
  }

  async #answered(ask: string | Ask, path?: string): Promise<Response> {
    const response = await this.send(ask, path);
    const stage = response.headers.get("x-probe-threw");
    if (stage !== null) throw new Error(`${stage} threw ${await response.text()}`);
    return response;
  }
}

/** The next event of a type; rejects when the socket fails first. */
export function event<T extends Event>(socket: WebSocket, type: string): Promise<T> {
  return new Promise((resolve, reject) => {
    socket.addEventListener(type, (event) => resolve(event as T), { once: true });
    socket.addEventListener("error", () => reject(new Error(`no ${type}: the WebSocket failed`)), {
      once: true,
    });
  });
}

/** Header values are ASCII. */
function encode(ask: string | Ask): string {
  const json = JSON.stringify(typeof ask === "string" ? { script: ask } : ask);
  return json.replace(
    /[^\x20-\x7e]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
