import { describe, expect, it, vi } from "vitest";
import { encodeBundle } from "../protocol/bundle.ts";
import { MARKER } from "../protocol/ledger.ts";
import { bundleOf, type Source } from "./test/function.ts";
import { workers } from "./test/workers.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const LINE = MARKER + TOKEN;

interface Marked {
  readonly offered: { readonly handlers: readonly string[]; readonly exports: readonly string[] };
  get(path?: string): Promise<string>;
  logs(): Promise<string[]>;
}

async function marked(source: string, of: Source = {}): Promise<Marked> {
  const host = workers.MARKED_HOST;
  const bundle = bundleOf(source, of);
  const loaded = await host.fetch(`http://host/load?token=${TOKEN}`, {
    method: "POST",
    body: encodeBundle(bundle),
  });
  const headers = { "x-version": bundle.versionId };
  return {
    offered: await loaded.json(),
    get: async (path = "/") => (await host.fetch(`http://f${path}`, { headers })).text(),
    logs: async () => (await host.fetch(`http://host/logs?version=${bundle.versionId}`)).json(),
  };
}

/** What came of one call: everything logged once the last entry is there. */
async function logsUntil(worker: Marked, last: string): Promise<string[]> {
  return vi.waitFor(async () => {
    const all = await worker.logs();
    expect(all).toContain(last);
    return all;
  });
}

describe("a marked isolate", () => {
  it.each([
    ["an object", `export default { fetch() { console.log("in"); return new Response(); } }`],
    [
      "a frozen object",
      `export default Object.freeze({ fetch() { console.log("in"); return new Response(); } })`,
    ],
    [
      "an object of a class",
      `class Site { fetch() { console.log("in"); return new Response(); } }
       export default new Site();`,
    ],
    [
      "an object with a getter",
      `export default { get fetch() { return () => { console.log("in"); return new Response(); }; } }`,
    ],
    [
      "a proxy that shows no names",
      `export default new Proxy({}, { ownKeys: () => [], get: (_, name) => name === "fetch"
         ? () => { console.log("in"); return new Response(); } : undefined });`,
    ],
    [
      "an entrypoint class",
      `import { WorkerEntrypoint } from "cloudflare:workers";
       export default class extends WorkerEntrypoint {
         fetch() { console.log("in"); return new Response(); }
       }`,
    ],
    [
      "an entrypoint class with a field",
      `import { WorkerEntrypoint } from "cloudflare:workers";
       export default class extends WorkerEntrypoint {
         fetch = () => { console.log("in"); return new Response(); };
       }`,
    ],
  ])("writes its line before each call of %s", async (_, source) => {
    const worker = await marked(source);
    await worker.get();
    await worker.get();
    await vi.waitFor(async () => expect(await worker.logs()).toHaveLength(4));
    expect(await worker.logs()).toEqual([LINE, "in", LINE, "in"]);
  });

  it("writes its line before each call of a listener, also of an object's", async () => {
    const function_ = await marked(
      `addEventListener("fetch", function (event) {
         console.log("in");
         event.respondWith(new Response(String(this === globalThis)));
       });`,
      { syntax: "service-worker" },
    );
    expect(await function_.get()).toBe("true");
    expect(await logsUntil(function_, "in")).toEqual([LINE, "in"]);
    const object = await marked(
      `const listener = { own: 7, handleEvent(event) {
         console.log("in");
         event.respondWith(new Response(String(this.own)));
       } };
       addEventListener("fetch", listener);
       addEventListener("fetch", listener);`,
      { syntax: "service-worker" },
    );
    expect(await object.get()).toBe("7");
    expect(await logsUntil(object, "in")).toEqual([LINE, "in"]);
    expect(object.offered.handlers).toEqual(["fetch"]);
  });

  it("removes a listener that was added", async () => {
    const worker = await marked(
      `const first = (event) => event.respondWith(new Response("first"));
       addEventListener("fetch", first);
       removeEventListener("fetch", first);
       addEventListener("fetch", (event) => event.respondWith(new Response("second")));`,
      { syntax: "service-worker" },
    );
    expect(await worker.get()).toBe("second");
  });

  it("hides nothing of an object from its handler", async () => {
    const worker = await marked(`
      class Base { greet() { return "hi"; } }
      class Site extends Base {
        #secret = 3;
        fetch(request, env, ctx) {
          const same = [this === site, Object.getPrototypeOf(this) === Site.prototype];
          return Response.json([this.greet(), this.#secret, arguments.length, typeof ctx.waitUntil, ...same]);
        }
      }
      const site = new Site();
      export default site;`);
    expect(JSON.parse(await worker.get())).toEqual(["hi", 3, 3, "function", true, true]);
  });

  it("hides nothing of a class from its instances", async () => {
    const worker = await marked(`
      import { WorkerEntrypoint } from "cloudflare:workers";
      export default class Site extends WorkerEntrypoint {
        #secret = 3;
        static own = 4;
        constructor(ctx, env) { super(ctx, env); this.made = new.target === Site && arguments.length; }
        fetch(request) {
          const same = [this.constructor === Site, Object.getPrototypeOf(this) === Site.prototype];
          return Response.json([this.#secret, this.constructor.own, this.made, ...same]);
        }
      }`);
    expect(JSON.parse(await worker.get())).toEqual([3, 4, 2, true, true]);
    expect(worker.offered.handlers).toEqual(["fetch"]);
  });

  it("reports what a handler threw as it was", async () => {
    const worker = await marked(`export default { fetch() { throw new RangeError("my own"); } }`);
    await expect(worker.get()).rejects.toThrow("my own");
  });
});

/**
 * Runs in the function, at top level and again in a handler: replaces every function and accessor of every
 * built-in object that can be reached by one that looks for the token in what it is given.
 */
const SPY = `
const TOKEN = "${TOKEN.slice(0, 8)}";
const found = new Set();
const { apply, construct, ownKeys, getOwnPropertyDescriptor, defineProperty, getPrototypeOf } = Reflect;
const includes = (text) => { for (let i = 0; i + TOKEN.length <= text.length; i++) {
  let j = 0; while (j < TOKEN.length && text[i + j] === TOKEN[j]) j++; if (j === TOKEN.length) return true; } return false; };
let busy = false;
function look(name, ...values) {
  if (busy) return;
  busy = true;
  try {
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (typeof value === "string" && includes(value)) found.add(name);
      if (typeof value === "object" && value !== null) {
        for (let n = 0; n < 4; n++) {
          try {
            const part = n === 3 ? value.value : value[n];
            if (typeof part === "string" && includes(part)) found.add(name);
          } catch {}
        }
      }
    }
  } finally { busy = false; }
}
const seen = new WeakSet();
function infect(object, path, depth) {
  if ((typeof object !== "object" && typeof object !== "function") || object === null || seen.has(object) || depth > 4) return;
  seen.add(object);
  for (const key of ownKeys(object)) {
    const name = path + "." + String(key);
    const descriptor = getOwnPropertyDescriptor(object, key);
    if (descriptor.value !== undefined) infect(descriptor.value, name, depth + 1);
    if (!descriptor.configurable || (typeof key === "string" && key[0] !== key[0].toLowerCase())) continue;
    if (key === "constructor" || key === "prototype") continue;
    try {
      if (typeof descriptor.value === "function") {
        const { value } = descriptor;
        defineProperty(object, key, { ...descriptor, value(...args) {
          const result = apply(value, this, args);
          look(name, this, args, result);
          return result;
        } });
      } else if (descriptor.get) {
        const { get } = descriptor;
        defineProperty(object, key, { ...descriptor, get() { look(name, this); return apply(get, this, []); } });
      }
    } catch {}
  }
  infect(getPrototypeOf(object), path + ".__proto__", depth + 1);
}
const infectAll = () => {
  infect(globalThis, "globalThis", 0);
  infect([][Symbol.iterator](), "array iterator", 0);
  infect(""[Symbol.iterator](), "string iterator", 0);
  infect(/x/g[Symbol.matchAll](""), "match iterator", 0);
  infect(new Map()[Symbol.iterator](), "map iterator", 0);
  infect((function* () {})(), "generator", 0);
};
const spyOnTraps = () => {
  for (const trap of ["get", "has", "construct", "apply", "getOwnPropertyDescriptor", "ownKeys"])
    Object.prototype[trap] ??= undefined;
  for (const index of [0, 1, 2])
    defineProperty(Object.prototype, index, { configurable: true, set(value) { look("Object.prototype." + index, value); } });
};
`;

describe("a hostile function in a marked isolate", () => {
  it("sees the token nowhere, whatever built-ins it replaced", async () => {
    const worker = await marked(`${SPY}
      infectAll();
      export default { fetch(request) {
        infectAll();
        const { stack } = new Error("look");
        look("stack", stack);
        return new Response([...found].join() + "|" + seen.has(Array.prototype));
      } }`);
    await worker.get();
    await worker.get();
    expect(await worker.get()).toBe("|true");
    await vi.waitFor(async () => expect(await worker.logs()).toEqual([LINE, LINE, LINE]));
  });

  it("finds it with the same means where it does come by", async () => {
    const worker = await marked(`${SPY}
      infectAll();
      export default { fetch() {
        console.log("${TOKEN}");
        return new Response([...found].join());
      } }`);
    const found = await worker.get();
    for (const name of ["console.log", "prototype.pop", "Symbol(Symbol.iterator)", "next"]) {
      expect(found).toContain(name);
    }
  });

  it("keeps what it replaced, apart from the moment of the marker", async () => {
    const worker = await marked(`
      const pop = Array.prototype.pop = () => "mine";
      export default { fetch: () => new Response([].pop() + (Array.prototype.pop === pop)) }`);
    expect(await worker.get()).toBe("minetrue");
    expect(await logsUntil(worker, LINE)).toEqual([LINE]);
  });

  it("writes no marker if it can only be written through the function's own code", async () => {
    const worker = await marked(`
      const seen = [];
      const { pop } = Array.prototype;
      Object.defineProperty(Array.prototype, "pop", { configurable: false, writable: false, value() {
        seen.push(String(this)); return Reflect.apply(pop, this, []);
      } });
      Object.prototype.value = pop;
      export default { fetch: () => new Response(seen.join()) }`);
    await worker.get();
    expect(await worker.get()).not.toContain(TOKEN);
  });

  it("learns nothing from setters on Object.prototype", async () => {
    const worker = await marked(`${SPY}
      spyOnTraps();
      export default { fetch() { return new Response([...found].join()); } }`);
    await worker.get();
    expect(await worker.get()).toBe("");
  });

  it("cannot read it in the sources, stacks or call sites", async () => {
    const worker = await marked(
      `import fs from "node:fs";
       import * as start from "./skep-start.js";
       import * as captured from "./skep-captured.js";
       let sites = "";
       Error.prepareStackTrace = (error, all) => {
         sites = all.map((site) => [site.getFileName(), site.getFunctionName(), String(site.getFunction()), String(site.getThis())].join(" ")).join();
         return sites;
       };
       export default { fetch() {
         void new Error("x").stack;
         const files = fs.readdirSync("/bundle").map((name) => name + fs.readFileSync("/bundle/" + name, "utf8"));
         const exported = [...Object.values(start), ...Object.values(captured)].map((value) => String(value));
         return new Response([files.length, sites, ...files, ...exported].join("\\n"));
       } }`,
      { flags: ["nodejs_compat"] },
    );
    const text = await worker.get();
    expect(text).toContain("SkepControl");
    expect(text).not.toContain(TOKEN);
  });

  it("cannot put itself between the loader and the control entrypoint", async () => {
    const worker = await marked(
      `import { SkepControl } from "./skep-start.js";
       import { WorkerEntrypoint } from "cloudflare:workers";
       const stolen = [];
       const steal = (token) => { stolen.push(token); return { handlers: [], exports: [] }; };
       const tries = [];
       const attempt = (what) => { try { what(); tries.push("done"); } catch (error) { tries.push(error.name); } };
       WorkerEntrypoint.prototype.ready = steal;
       Object.prototype.ready = steal;
       const tamper = () => {
         attempt(() => { SkepControl.prototype.ready = steal; });
         attempt(() => { Object.setPrototypeOf(SkepControl, class {}); });
         attempt(() => { Object.setPrototypeOf(SkepControl.prototype, { ready: steal }); });
       };
       tamper();
       queueMicrotask(tamper);
       await Promise.resolve().then(tamper);
       export default { fetch: () => Response.json({ stolen, tries }) };`,
    );
    const { stolen, tries } = JSON.parse(await worker.get());
    expect(stolen).toEqual([]);
    expect(tries).not.toContain("done");
    expect(await logsUntil(worker, LINE)).toEqual([LINE]);
  });

  it("cannot give itself another token", async () => {
    const worker = await marked(
      `export default { async fetch(request, env, ctx) {
         const { pathname } = new URL(request.url);
         if (pathname === "/forge") await ctx.exports.SkepControl.ready("f".repeat(32));
         return new Response("ok");
       } }`,
    );
    expect(await worker.get("/forge")).toBe("ok");
    await worker.get();
    await vi.waitFor(async () => expect(await worker.logs()).toHaveLength(2));
    expect(await worker.logs()).toEqual([LINE, LINE]);
  });
});

describe("waitUntil", () => {
  it("is what it was: thenables are adopted once, wrong calls throw", async () => {
    const worker = await marked(
      `let adopted = 0;
       export default { fetch(request, env, ctx) {
         const { pathname } = new URL(request.url);
         if (pathname === "/count") return new Response(String(adopted));
         let thrown = "none";
         try { ctx.waitUntil(); } catch (error) { thrown = error.name; }
         try { ctx.waitUntil.call({}, Promise.resolve()); } catch (error) { thrown += " " + error.name; }
         ctx.waitUntil({ then(resolve) { adopted++; resolve(); } });
         ctx.waitUntil(Promise.reject(new Error("in the background")));
         ctx.waitUntil(7);
         return new Response(thrown);
       } }`,
    );
    expect(await worker.get()).toBe("TypeError TypeError");
    expect(await worker.get("/count")).toBe("1");
  });
});
