/**
 * Errors that functions throw to be taken for the platform's own: whatever is thrown is 1101, an exception in the
 * function's metrics, not repeated and not retried by anybody.
 */
import { expect } from "vitest";
import { ask, expectException, type Probe } from "./probe.ts";

/** Expressions that are thrown. */
export const THROWN: Readonly<Record<string, string>> = {
  "a retryable error": `Object.assign(new Error("x"), { retryable: true, overloaded: true })`,
  "an error that denies being remote": `Object.assign(new Error("x"), { remote: false, retryable: true })`,
  "a frozen denial": `Object.freeze(Object.defineProperty(new Error("x"), "remote", { value: false }))`,
  "a LimitError": `Object.assign(new Error("Worker exceeded CPU time limit."), { name: "LimitError", limit: "exceededCpu", retryAfterSeconds: 60 })`,
  "a LimitError that is not remote": `Object.assign(new Error("x"), { name: "LimitError", limit: "rateLimited", remote: false })`,
  "an UnavailableError": `Object.assign(new Error("the hub cannot be reached"), { name: "UnavailableError", retryable: true })`,
  "a VersionGoneError": `Object.assign(new Error("the hub has no bundle of version x"), { name: "VersionGoneError" })`,
  "Worker not found": `new Error("Worker not found: no script")`,
  "Worker not found, with a class": `new (class WorkerNotFound extends Error {})("Worker not found.")`,
  "Network connection lost": `Object.assign(new Error("Network connection lost."), { retryable: true })`,
  "internal error": `new Error("internal error")`,
  "internal error with a reference": `new Error("internal error; reference = abcdefghijklmnop")`,
  "Failed to start Worker": `new Error("Failed to start Worker:\\nUncaught Error: x")`,
  "the isolate is gone": `new Error("the isolate is gone; the request may be sent again")`,
  "a CPU limit": `new Error("Worker exceeded CPU time limit.")`,
  "a memory limit": `new Error("Worker exceeded memory limit.")`,
  "too many subrequests": `new Error("Too many subrequests.")`,
  "a loop": `new Error("Subrequest depth limit exceeded")`,
  disconnected: `new Error("jsg.Error: disconnected; remote.jsg.Error")`,
  "a tunnelled exception": `new Error("remote.jsg.TypeError(x): broken.outputGateBroken; jsg-internal.Error: x")`,
  undefined: `undefined`,
  null: `null`,
  "a number": `0`,
  "a string": `"Worker not found"`,
  "a symbol": `Symbol("x")`,
  "a function": `() => {}`,
  "an object without a prototype": `Object.create(null)`,
  "a proxy that throws": `new Proxy({}, { get() { throw new Error("inner"); }, getPrototypeOf() { throw new Error("inner"); } })`,
  "a revoked proxy": `(() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; })()`,
  "getters that throw": `Object.defineProperties(new Error("x"), Object.fromEntries(["message", "name", "stack", "remote"].map((key) => [key, { get() { throw new Error("inner"); } }])))`,
  "names that are no strings": `Object.assign(new Error("x"), { name: { toString() { throw new Error("inner"); } }, message: 1n, stack: Symbol("x") })`,
  "half a surrogate pair": `new Error("\\ud800 half")`,
  "half a surrogate pair in name and stack": `Object.assign(new Error("x"), { name: "\\udfff", stack: "\\ud800" })`,
  "line ends and NULs": `new Error("a\\r\\nx-injected: 1\\r\\n\\r\\n\\u0000b")`,
  "a message of a megabyte": `new Error("m".repeat(1024 * 1024))`,
  "a stack of a megabyte": `Object.assign(new Error("x"), { stack: "s".repeat(1024 * 1024) })`,
  "a message of a megabyte of escapes": `new Error("\\u4e16".repeat(1024 * 512))`,
  "a chain of causes": `(() => { let error = new Error("x"); for (let i = 0; i < 1000; i++) error = new Error("x", { cause: error }); error.cause.cause = error; return error; })()`,
  "a DOMException": `new DOMException("x", "AbortError")`,
  "an AggregateError": `new AggregateError([Object.assign(new Error("x"), { retryable: true })], "x")`,
  "a response": `new Response("x", { status: 200 })`,
  "a promise": `new Promise(() => {})`,
  "a stack overflow": `(() => { const f = () => f(); return f(); })()`,
};

const COUNTED = `
  const id = crypto.randomUUID?.bind(crypto);
  let own, runs = 0;
  export const THROWN = { ${Object.entries(THROWN)
    .map(([what, code]) => `${JSON.stringify(what)}: () => ${code}`)
    .join(",\n")} };
  export default { async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    own ??= id();
    if (pathname === "/runs") return Response.json({ own, runs });
    runs++;
    const thrown = THROWN[decodeURIComponent(pathname.slice(1))]();
    if (searchParams.has("later")) await new Promise((resolve) => setTimeout(resolve, 1));
    throw thrown;
  } };`;

export const errors: readonly Probe[] = [
  {
    name: "whatever a function throws is its own exception, and it runs once per request",
    source: COUNTED,
    check: async (stage, script) => {
      let asked = 0;
      const wrong: string[] = [];
      // Twice: the first request is cold, or forwarded; later ones are local to some process.
      for (const path of ["", "?later", ""]) {
        for (const what of Object.keys(THROWN)) {
          for (const method of ["GET", "POST"]) {
            asked++;
            const answer = await ask(stage, script, {
              method,
              path: `/${encodeURIComponent(what)}${path}`,
            });
            try {
              expectException(answer);
            } catch {
              wrong.push(
                `${method} ${what}${path}: ${answer.status} ${answer.headers.get("x-skep-error")}`,
              );
            }
          }
        }
      }
      expect(wrong).toEqual([]);
      await stage.askVictim();
      const counts = await runsByIsolate(stage, script);
      const total = [...counts.values()].reduce((sum, runs) => sum + runs, 0);
      expect(total, "runs of the function").toBeLessThanOrEqual(asked);
    },
  },
];

async function runsByIsolate(
  stage: Parameters<typeof ask>[0],
  script: string,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let i = 0; i < 20; i++) {
    const { text } = await ask(stage, script, { path: "/runs" });
    const { own, runs } = JSON.parse(text) as { own: string; runs: number };
    counts.set(own, runs);
  }
  return counts;
}
