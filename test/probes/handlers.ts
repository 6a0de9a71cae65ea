/** Handlers, default exports and responses that are not what they seem. */
import { expect } from "vitest";
import { ask, expectException, uploadForm, type Probe, type UploadSettings } from "./probe.ts";

/** Default exports whose every request must end as the function's exception, or be refused at the upload. */
const BAD_EXPORTS: Readonly<Record<string, string>> = {
  "a throwing getter": `export default { get fetch() { throw new Error("mine"); } };`,
  "a proxy that throws": `export default new Proxy({}, { get() { throw new Error("mine"); } });`,
  "a class that throws": `import { WorkerEntrypoint } from "cloudflare:workers";
    export default class extends WorkerEntrypoint { constructor(ctx, env) { super(ctx, env); throw new Error("mine"); } fetch() { return new Response("x"); } };`,
  "a class with a throwing getter": `import { WorkerEntrypoint } from "cloudflare:workers";
    export default class extends WorkerEntrypoint { get fetch() { throw new Error("mine"); } };`,
  "no default export": `export const fetch = () => new Response("x");`,
  "a null": `export default null;`,
  "a number": `export default 1;`,
  "a promise": `export default Promise.resolve({ fetch: () => new Response("x") });`,
  "a handler that is no function": `export default { fetch: "x" };`,
  "a revoked proxy": `const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); export default proxy;`,
};

/** Bodies of \`fetch(request, env, ctx)\` that answer with something that is no response. */
const BAD_ANSWERS: Readonly<Record<string, string>> = {
  nothing: ``,
  "a string": `return "x";`,
  "an object like a response": `return { status: 200, headers: new Headers(), body: null, ok: true };`,
  "a proxy of a response": `return new Proxy(new Response("x"), {});`,
  "an object of the prototype": `return Object.create(Response.prototype);`,
  "a promise that never settles with its request": `return Promise.reject(new Error("mine"));`,
  "a thenable that rejects": `return { then(resolve, reject) { reject(new Error("mine")); } };`,
  "a thenable that throws": `return { then() { throw new Error("mine"); } };`,
  "a used response": `const r = new Response("x"); await r.text(); return r;`,
  "an error response": `return Response.error();`,
  "status 0": `return new Response("x", { status: 0 });`,
  "status 99": `return new Response("x", { status: 99 });`,
  "status 100": `return new Response(null, { status: 100 });`,
  "status 600": `return new Response("x", { status: 600 });`,
  "status 1000": `return new Response("x", { status: 1000 });`,
  "status -1": `return new Response("x", { status: -1 });`,
  "status NaN": `return new Response("x", { status: NaN });`,
  "status 101 without a WebSocket": `return new Response(null, { status: 101 });`,
  "204 with a body": `return new Response("x", { status: 204 });`,
};

const inHandler = (body: string) =>
  `export default { async fetch(request, env, ctx) { ${body} } };`;

async function tryAll(
  stage: Parameters<typeof ask>[0],
  script: string,
  sources: Readonly<Record<string, string>>,
  settings?: UploadSettings,
): Promise<Map<string, Awaited<ReturnType<typeof ask>>>> {
  const answers = new Map<string, Awaited<ReturnType<typeof ask>>>();
  await Promise.all(
    Object.entries(sources).map(async ([what, source], index) => {
      const name = `${script}-${index}`;
      const refused = await stage.deploy(name, uploadForm(source, settings)).then(
        () => false,
        () => true,
      );
      if (!refused) answers.set(what, await ask(stage, name));
    }),
  );
  return answers;
}

export const handlers: readonly Probe[] = [
  {
    name: "a default export that throws, lies or is none is the function's exception, or refused",
    check: async (stage, script) => {
      const answers = await tryAll(stage, script, BAD_EXPORTS);
      for (const [what, answer] of answers) {
        expect([what, answer.status, answer.headers.get("x-skep-error")]).toEqual([
          what,
          500,
          "1101",
        ]);
      }
      await stage.askVictim();
    },
  },
  {
    name: "an answer that is no response is the function's exception",
    source: `
      const BODIES = { ${Object.entries(BAD_ANSWERS)
        .map(([what, body]) => `${JSON.stringify(what)}: async (request) => { ${body} }`)
        .join(",\n")} };
      export default { fetch: (request) => BODIES[decodeURIComponent(new URL(request.url).pathname.slice(1))](request) };`,
    check: async (stage, script) => {
      for (const what of Object.keys(BAD_ANSWERS)) {
        const answer = await ask(stage, script, { path: `/${encodeURIComponent(what)}` });
        expect([what, answer.status, answer.headers.get("x-skep-error")]).toEqual([
          what,
          500,
          "1101",
        ]);
      }
    },
  },
  {
    name: "a response whose body is locked, or locked while it is sent, is the function's exception",
    source: inHandler(`
      globalThis.runs = (globalThis.runs ?? 0) + 1;
      if (new URL(request.url).pathname === "/runs") return new Response(String(runs));
      const response = new Response(new ReadableStream({ pull() {} }));
      const lock = () => response.body.getReader();
      if (new URL(request.url).pathname === "/before") lock();
      else queueMicrotask(lock);
      return response;`),
    check: async (stage, script) => {
      const paths = ["/before", "/while", "/before", "/while"];
      const answers = [];
      for (const path of paths) {
        const lost = { status: 0, headers: new Headers(), text: "the connection was lost" };
        answers.push(await ask(stage, script, { path }).catch(() => lost));
      }
      const runs = await ask(stage, script, { path: "/runs" });
      expect(Number(runs.text), "runs of the function").toBeLessThanOrEqual(paths.length + 1);
      for (const answer of answers) {
        // Where no process is between function and client, all that is left to do is to close the connection; an edge
        // cannot tell another edge's end from that.
        const isCut = answer.status === 0 || answer.headers.get("x-skep-error") === "1105";
        if (stage !== stage.inEdges || !isCut) expectException(answer);
      }
    },
  },
  {
    // Such a request goes on to the function's own \`fetch\`, so to a host that has no public address here.
    name: "a function without a handler gets its clients' requests no further than any fetch of its own",
    check: async (stage, script) => {
      const answers = await tryAll(stage, script, {
        "a proxy of everything": `const p = new Proxy(function () {}, { get: () => p, apply: () => p, construct: () => p }); export default p;`,
        "no listener": `import "./attempt.js"; export default {};`,
        "passing through": inHandler(`ctx.passThroughOnException(); throw new Error("mine");`),
      });
      for (const [what, { status, text }] of answers) {
        // Refused by the way out, or back here in a ring.
        expect([500, 502, 403, 508], what).toContain(status);
        expect(text).not.toContain("victim");
      }
      expect(stage.contacts()).toBe(0);
    },
  },
  {
    name: "a module that behaves in its trial and throws once it is live is the function's exception",
    check: async (stage, script) => {
      const sourcesUntil = (liveMs: number) => {
        const throwing = `if (Date.now() > ${liveMs}) throw new Error("mine");`;
        return {
          "at top level": `${throwing} ${inHandler(`return new Response("early");`)}`,
          "in a trap": `const early = () => new Response("early");
            const trap = () => { ${throwing} };
            export default new Proxy({ fetch: early }, { getPrototypeOf() { trap(); return Object.prototype; }, ownKeys(t) { trap(); return Reflect.ownKeys(t); } });`,
          "in Object.keys": `const keys = Object.keys; Object.keys = (o) => { ${throwing} return keys(o); };
            ${inHandler(`return new Response("early");`)}`,
        };
      };
      const names = await Promise.all(
        Object.keys(sourcesUntil(0)).map(async (what, index) => {
          const name = `${script}-${index}`;
          // Others' trials may be in front of it.
          for (let patienceMs = 2_500; ; patienceMs *= 2) {
            const liveMs = Date.now() + patienceMs;
            const source = sourcesUntil(liveMs)[what as keyof ReturnType<typeof sourcesUntil>];
            try {
              await stage.deploy(name, uploadForm(source));
              return { what, name, liveMs };
            } catch (error) {
              if (patienceMs > 10_000) throw error;
            }
          }
        }),
      );
      const lastMs = Math.max(...names.map(({ liveMs }) => liveMs));
      await new Promise((resolve) => setTimeout(resolve, lastMs + 100 - Date.now()));
      for (const { what, name } of names) {
        // An isolate that was loaded before is good; one that is loaded now is not the platform's failure.
        const { status, headers, text } = await ask(stage, name);
        const outcome = status === 200 ? text : headers.get("x-skep-error");
        expect(["early", "1101"], `${what}: ${status} ${text}`).toContain(outcome);
      }
      await stage.askVictim();
    },
  },
  {
    name: "unhandled rejections, late errors and rejected background work disturb no answer",
    source: inHandler(`
      Promise.reject(new Error("unhandled"));
      queueMicrotask(() => { throw new Error("microtask"); });
      setTimeout(() => { throw new Error("timer"); }, 1);
      ctx.waitUntil(Promise.reject(new Error("background")));
      ctx.waitUntil(new Promise((resolve, reject) => setTimeout(reject, 20, new Error("late"))));
      addEventListener("unhandledrejection", () => { throw new Error("listener"); });
      addEventListener("error", () => { throw new Error("listener"); });
      ctx.passThroughOnException();
      reportError?.(new Error("reported"));
      return new Response("mine");`),
    check: async (stage, script) => {
      for (let i = 0; i < 6; i++) {
        const answer = await ask(stage, script, { path: `/${i}` });
        const own = answer.status === 200 && answer.text === "mine";
        if (!own) expectException(answer);
        await stage.askVictim();
      }
    },
  },
];
