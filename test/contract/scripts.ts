/** The user Workers of the contract suite. Each case has its own, or says here what it shares. */
import type { InlineScript } from "../../src/testing/index.ts";

/** (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)) */
const ADD_WASM = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0, 7, 7, 1, 3, 97, 100,
  100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11,
]);

/** Echoes messages, closes when a message says so, and says what it was closed with. */
const SOCKET = `
  export default {
    fetch() {
      const [client, server] = Object.values(new WebSocketPair());
      server.accept();
      server.binaryType = "arraybuffer";
      server.addEventListener("message", ({ data }) => {
        if (data === "close") server.close(4001, "as you wish");
        else server.send(data);
      });
      server.addEventListener("close", ({ code, reason }) => server.close(code, "saw " + reason));
      return new Response(null, { status: 101, webSocket: client });
    },
  };`;

/** Two scripts are made of it. */
const SECRET = `
  globalThis.secrets ??= [];
  export default {
    fetch(request) {
      secrets.push(new URL(request.url).pathname);
      return Response.json(secrets);
    },
  };`;

/** A module-level identity: tells isolates apart. Randomness is not allowed at top level. */
const IDENTITY = `
  let id;
  export default { fetch: () => new Response((id ??= crypto.randomUUID())) };`;

export const SCRIPTS = {
  hello: `export default { fetch: () => new Response("hello") };`,

  /** What it was asked, as far as a Worker can tell. */
  mirror: `
    export default {
      async fetch(request, env, ctx) {
        const body = await request.text();
        const { method, url, headers } = request;
        const answer = { method, url, headers: [...headers], body, cf: request.cf ?? null, props: ctx.props };
        return Response.json(answer, { headers: { "x-method": method } });
      },
    };`,

  /** One answer per path. */
  answers: `
    const ANSWERS = {
      "/teapot": () => new Response("short and stout", { status: 418, headers: { "x-kind": "tea" } }),
      "/cookies": () => new Response("", { headers: [["set-cookie", "a=1"], ["set-cookie", "b=2; Path=/"]] }),
      "/redirect": () => new Response(null, { status: 302, headers: { location: "/elsewhere" } }),
      "/elsewhere": () => new Response("followed"),
      "/204": () => new Response(null, { status: 204 }),
      "/304": () => new Response(null, { status: 304, headers: { etag: '"1"' } }),
      "/500": () => new Response("my own fault", { status: 500 }),
      "/zipped": () => {
        const zipped = new Blob(["unzipped"]).stream().pipeThrough(new CompressionStream("gzip"));
        return new Response(zipped, { encodeBody: "manual", headers: { "content-encoding": "gzip" } });
      },
    };
    export default { fetch: (request) => ANSWERS[new URL(request.url).pathname]() };`,

  /** Sends one chunk, and the other once it is told to. */
  halting: `
    let released = false;
    export default {
      fetch(request, env, ctx) {
        if (new URL(request.url).pathname === "/release") {
          released = true;
          return new Response(null, { status: 204 });
        }
        const { readable, writable } = new TransformStream();
        const write = async () => {
          const writer = writable.getWriter();
          await writer.write(new TextEncoder().encode("first,"));
          while (!released) await scheduler.wait(5);
          await writer.write(new TextEncoder().encode("last"));
          await writer.close();
        };
        ctx.waitUntil(write());
        return new Response(readable);
      },
    };`,

  /** Tells how many bytes of a running upload it has seen. */
  counting: `
    let seen = 0;
    export default {
      async fetch(request) {
        if (request.method === "GET") return Response.json(seen);
        for await (const chunk of request.body) seen += chunk.byteLength;
        return Response.json(seen);
      },
    };`,

  echo: `export default { fetch: (request) => new Response(request.body) };`,

  digest: `
    export default {
      async fetch(request) {
        const digest = new crypto.DigestStream("SHA-256");
        await request.body.pipeTo(digest);
        return new Response(new Uint8Array(await digest.digest).toHex());
      },
    };`,

  socket: SOCKET,

  /** Answers a close itself, where the runtime would. */
  "socket-manual": {
    modules: { "index.js": SOCKET },
    compatibilityFlags: ["web_socket_manual_reply_to_close"],
  },

  "secret-a": SECRET,
  "secret-b": SECRET,

  counter: `
    let count = 0;
    export default { fetch: () => new Response(String(++count)) };`,

  identity: IDENTITY,
  "identity-args": IDENTITY,

  throws: `
    export default {
      async fetch(request) {
        if (new URL(request.url).pathname === "/later") await scheduler.wait(1);
        throw new TypeError("no honey left");
      },
    };`,
  "throws-string": `export default { fetch() { throw "not an error at all"; } };`,
  "rejects-object": `export default { fetch: () => Promise.reject({ code: 7 }) };`,
  /** Pretends that its script is not there. */
  forger: `
    export default {
      fetch() { throw Object.assign(new Error("Worker not found"), { remote: false }); },
    };`,
  "no-handler": `export default { scheduled() {} };`,

  /** A class instead of an object. */
  entrypoint: `
    import { WorkerEntrypoint } from "cloudflare:workers";
    export default class extends WorkerEntrypoint {
      fetch() { return Response.json({ env: this.env, props: this.ctx.props }); }
    }`,

  modules: {
    mainModule: "index.js",
    modules: {
      "index.js": `
        import text from "./text.txt";
        import data from "./data.bin";
        import add from "./add.wasm";
        import { greeting } from "./lib/greeting.js";
        import { exclaim } from "./lib/exclaim.js";
        export default {
          async fetch() {
            const { exports } = await WebAssembly.instantiate(add);
            return Response.json({ text, data: [...new Uint8Array(data)], sum: exports.add(20, 22), greeting: exclaim(greeting) });
          },
        };`,
      "lib/greeting.js": `export const greeting = "good day";`,
      "lib/exclaim.js": `import { greeting } from "./greeting.js"; export const exclaim = (text) => text + "! " + greeting.length;`,
      "text.txt": "grüß Gott",
      "data.bin": Uint8Array.from([0, 255, 128]),
      "add.wasm": ADD_WASM,
    },
  },

  "service-worker": {
    serviceWorker: `
      addEventListener("fetch", (event) => {
        event.respondWith(Response.json({ GREETING, SETTINGS, sloppy: this === globalThis || (function () { return this === globalThis; })() }));
      });`,
    bindings: { GREETING: "hello", SETTINGS: { deep: [1, null] } },
  },

  env: {
    modules: {
      "index.js": `
        import { env as imported } from "cloudflare:workers";
        export default { fetch: (request, env) => Response.json({ env, imported }) };`,
    },
    bindings: { TEXT: "text", JSON: { list: [1, "two", { three: null }], on: true } },
  },

  "compatibility-old": {
    modules: { "index.js": `export default { fetch: () => new Response(typeof navigator) };` },
    compatibilityDate: "2022-01-01",
  },
  "compatibility-flag": {
    modules: {
      "index.js": `
        import { Buffer } from "node:buffer";
        export default { fetch: () => new Response(Buffer.from("c2tlcA==", "base64").toString()) };`,
    },
    compatibilityDate: "2024-09-23",
    compatibilityFlags: ["nodejs_compat"],
  },

  /** Finishes work after its answer. */
  background: `
    let done = false;
    export default {
      fetch(request, env, ctx) {
        if (request.method === "GET") return Response.json(done);
        ctx.waitUntil(scheduler.wait(100).then(() => { done = true; }));
        return Response.json(done);
      },
    };`,
} satisfies Record<string, InlineScript>;
