/** Bodies and heads without end or measure, from functions and from clients. */
import { connect, type Socket } from "node:net";
import { expect } from "vitest";
import { ask, expectException, type Probe } from "./probe.ts";
import { exchange, statuses } from "./raw-http.ts";

export const streams: readonly Probe[] = [
  {
    name: "an endless response ends with its client, and others are served meanwhile",
    source: `
      export default { fetch() {
        const chunk = new Uint8Array(65_536);
        return new Response(new ReadableStream({ pull(controller) { controller.enqueue(chunk); } }));
      } };`,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      const bytes = `GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
      const reading = [1, 2, 3].map(() =>
        exchange(stage.targets.httpPort, bytes, { maxBytes: 4 * 1024 * 1024 }),
      );
      for (let i = 0; i < 10; i++) await stage.askVictim();
      for (const text of await Promise.all(reading)) {
        // Its head, at least: a limit of the platform may end it.
        expect(statuses(text.slice(0, 4096))).toHaveLength(1);
      }
    },
  },
  {
    name: "a body that fails in the middle is cut off, and is not completed with anybody else's bytes",
    source: `
      export default { fetch(request) {
        const { pathname } = new URL(request.url);
        let sent = 0;
        const body = new ReadableStream({ pull(controller) {
          if (sent++ < 3) controller.enqueue(new TextEncoder().encode("part"));
          else if (pathname === "/error") controller.error(new Error("mine"));
          else if (pathname === "/number") controller.enqueue(1);
          else if (pathname === "/throw") throw new Error("mine");
          else return Promise.reject(Object.assign(new Error("x"), { retryable: true, remote: false }));
        } });
        return new Response(body, pathname === "/short" ? { headers: { "content-length": "1000" } } : {});
      } };`,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      for (const path of ["/error", "/number", "/throw", "/reject"]) {
        const received = await exchange(
          stage.targets.httpPort,
          `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
        );
        expect(statuses(received)).toHaveLength(1);
        expect(received).not.toMatch(/\r\n0\r\n\r\n$/);
        await stage.askVictim();
      }
    },
  },
  {
    name: "a length that is not the body's neither mixes answers nor hangs anybody else",
    source: `
      export default { fetch(request) {
        const { pathname } = new URL(request.url);
        return new Response("four", { headers: { "content-length": pathname.slice(1), "transfer-encoding": "chunked", connection: "keep-alive", "keep-alive": "timeout=1000", trailer: "x" } });
      } };`,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      const received = await Promise.all(
        ["0", "2", "4", "400", "-1", "x", "4, 4"].map((length) =>
          exchange(
            stage.targets.httpPort,
            `GET /${encodeURIComponent(length)} HTTP/1.1\r\nhost: ${host}\r\n\r\nGET /4 HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
          ),
        ),
      );
      for (const text of received) {
        expect(text.match(/^content-length:/gim)?.length ?? 0).toBeLessThanOrEqual(
          statuses(text).length,
        );
        // Never both: a reader would choose one of them.
        for (const head of text.split(/(?=HTTP\/1\.1 )/)) {
          expect(/^content-length:/im.test(head) && /^transfer-encoding:/im.test(head)).toBe(false);
        }
      }
      for (let i = 0; i < 4; i++) await stage.askVictim();
    },
  },
  {
    name: "a response head of a megabyte, or of 20,000 headers, is the function's own failure and runs once",
    source: `
      let own, runs = 0;
      const HEADS = {
        "/megabyte": () => ({ "x-big": "b".repeat(1024 * 1024) }),
        "/many": () => Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => ["x-" + i, "b".repeat(50)])),
        "/cookies": () => Array.from({ length: 20_000 }, (_, i) => ["set-cookie", "c" + i + "=" + "b".repeat(50)]),
        "/hundred": () => ({ "x-big": "b".repeat(100 * 1024) }),
        "/reason": () => ({}),
      };
      export default { fetch(request) {
        const { pathname } = new URL(request.url);
        own ??= crypto.randomUUID();
        if (pathname === "/runs") return Response.json({ own, runs });
        runs++;
        return new Response("mine", { headers: HEADS[pathname](), statusText: pathname === "/reason" ? "r".repeat(1024 * 1024) : "" });
      } };`,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      const wrong: string[] = [];
      let asked = 0;
      for (const path of ["/megabyte", "/many", "/cookies", "/hundred", "/reason"]) {
        for (let i = 0; i < 4; i++) {
          asked++;
          const text = await exchange(
            stage.targets.httpPort,
            `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
          );
          const [status] = statuses(text);
          const passed = status === 200 && text.endsWith("mine");
          const exception = status === 500 && /^x-skep-error: 1101/im.test(text);
          if (!passed && !exception)
            wrong.push(`${path}: ${status} ${/^x-skep-error: (\d+)/im.exec(text)?.[1]}`);
        }
        await stage.askVictim();
      }
      expect(wrong).toEqual([]);
      const counts = new Map<string, number>();
      for (let i = 0; i < 20; i++) {
        const { own, runs } = JSON.parse((await ask(stage, script, { path: "/runs" })).text) as {
          own: string;
          runs: number;
        };
        counts.set(own, runs);
      }
      expect([...counts.values()].reduce((sum, runs) => sum + runs, 0)).toBeLessThanOrEqual(asked);
    },
  },
  {
    name: "a request body that is cut off or broken never looks whole to the function",
    source: `
      let own;
      const whole = [];
      export default { async fetch(request) {
        own ??= crypto.randomUUID();
        if (request.method === "GET") return Response.json({ own, whole });
        whole.push(await request.text());
        return new Response("whole");
      } };`,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      await ask(stage, script);
      const head = `POST / HTTP/1.1\r\nhost: ${host}\r\n`;
      const broken = {
        "a length that is not reached": `${head}content-length: 100\r\n\r\nfirst`,
        "a large length that is not reached": `${head}content-length: 100000\r\n\r\nfirst`,
        "a chunk that is not finished": `${head}transfer-encoding: chunked\r\n\r\n64\r\nfirst`,
        "no last chunk": `${head}transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n`,
        "a bad chunk size": `${head}transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n-1\r\nx\r\n0\r\n\r\n`,
        "a bad first chunk": `${head}transfer-encoding: chunked\r\n\r\nxyz\r\nfirst\r\n0\r\n\r\n`,
      };
      const { httpPort } = stage.targets;
      const sent = Object.entries(broken).map(async ([what, bytes]) => {
        // The client goes away in the middle.
        const received = await exchange(httpPort, bytes, { silenceMs: 500 });
        return /\b200 OK\b/.test(received) ? `${what} was answered` : null;
      });
      const answered = (await Promise.all(sent)).filter((what) => what !== null);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const taken = new Set<string>();
      for (let i = 0; i < 10; i++) {
        const { own, whole } = JSON.parse((await ask(stage, script)).text) as {
          own: string;
          whole: string[];
        };
        for (const body of whole) taken.add(`${own} took ${JSON.stringify(body)} for whole`);
      }
      expect([...answered, ...taken]).toEqual([]);
    },
  },
  {
    name: "clients that send heads and bodies by the byte, or never to the end, keep nobody else out",
    source: `export default { async fetch(request) { return new Response(await request.text()); } };`,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      const sockets: Socket[] = [];
      const slow = (text: string) => {
        const socket = connect(stage.targets.httpPort, "127.0.0.1");
        socket.on("error", () => {});
        socket.write(text);
        sockets.push(socket);
      };
      try {
        for (let i = 0; i < 100; i++) {
          slow(`POST / HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 1000000\r\n\r\nx`);
          slow(`POST / HTTP/1.1\r\nhost: ${host}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nx`);
          slow(`GET / HTTP/1.1\r\nhost: ${host}\r\nx-slow: `);
          slow("");
        }
        for (let i = 0; i < 20; i++) {
          await stage.askVictim();
          for (const socket of sockets) socket.write("x");
        }
      } finally {
        for (const socket of sockets) socket.destroy();
      }
      await stage.askVictim();
      expect((await ask(stage, script, { method: "POST", body: "own" })).text).toBe("own");
    },
  },
  {
    name: "a request head without measure is refused",
    source: `export default { fetch: (request) => new Response("reached " + [...request.headers].length) };`,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      const heads = {
        "a megabyte": `x-big: ${"b".repeat(1024 * 1024)}\r\n`,
        "20,000 headers": Array.from(
          { length: 20_000 },
          (_, i) => `x-${i}: ${"b".repeat(50)}\r\n`,
        ).join(""),
      };
      for (const [what, lines] of Object.entries(heads)) {
        const text = await exchange(
          stage.targets.httpPort,
          `GET / HTTP/1.1\r\nhost: ${host}\r\n${lines}\r\n`,
        );
        expect(
          statuses(text).every((status) => status >= 400),
          what,
        ).toBe(true);
        expect(text).not.toContain("reached");
        await stage.askVictim();
      }
      const long = await exchange(
        stage.targets.httpPort,
        `GET /${"p".repeat(1024 * 1024)} HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
      );
      expect(long).not.toContain("reached");
      await stage.askVictim();
    },
  },
  {
    name: "a request whose headers just fit is answered by function or platform, with the call's own headers added",
    source: `export default { fetch: (request) => new Response("reached " + request.headers.get("x-big")?.length) };`,
    check: async (stage, script) => {
      const host = stage.hostOf(script);
      // Around the runtime's limit for a head: what the platform adds on the way must not make it fail oddly.
      for (const size of [8_000, 30_000, 60_000, 64_000, 64_500, 65_000, 65_300]) {
        const text = await exchange(
          stage.targets.httpPort,
          `GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\nx-big: ${"b".repeat(size)}\r\n\r\n`,
        );
        const [status] = statuses(text);
        const reached = status === 200 && text.endsWith(`reached ${size}`);
        const refused = text === "" || (status !== undefined && status >= 400);
        expect(reached || refused, `${size}: ${text.slice(0, 200)}`).toBe(true);
        if (status === 500) expectException({ status, headers: headersOf(text), text });
      }
      await stage.askVictim();
    },
  },
];

function headersOf(text: string): Headers {
  const lines = text.split("\r\n\r\n", 1)[0]?.split("\r\n").slice(1) ?? [];
  return new Headers(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
}
