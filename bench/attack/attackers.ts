/**
 * Hostile functions. Each answers `ok` until it is asked for `/attack`; only then does it turn on its
 * process, so that the same source serves as a newcomer and as a proven function turned rogue.
 */

export interface Attacker {
  readonly name: string;
  /** What it goes beyond. */
  readonly limit: "cpu" | "memory";
  /** Statements that run on `/attack`. */
  readonly body: string;
  /** Before the handler. */
  readonly head?: string;
  readonly flags?: readonly string[];
}

/** (module (func (export "spin") (loop br 0))) and (module (memory (export "m") 1)), assembled by hand. */
const WASM_SPIN = wasm([
  [1, [1, 0x60, 0, 0]],
  [3, [1, 0]],
  [7, [1, 4, ...ascii("spin"), 0, 0]],
  [10, [1, 7, 0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b]],
]);
const WASM_MEMORY = wasm([
  [5, [1, 0, 1]],
  [7, [1, 1, ...ascii("m"), 2, 0]],
]);

export const ATTACKERS: readonly Attacker[] = [
  { name: "loop", limit: "cpu", body: `for (;;);` },
  { name: "regex", limit: "cpu", body: `/^(a+)+$/.test("a".repeat(60) + "b");` },
  { name: "microtasks", limit: "cpu", body: `for (;;) await null;` },
  {
    name: "wasm",
    limit: "cpu",
    head: `import spinner from "./module.wasm";`,
    body: `new WebAssembly.Instance(spinner).exports.spin();`,
  },
  { name: "logging", limit: "cpu", body: `for (;;) console.log("noise");` },
  {
    name: "native",
    limit: "cpu",
    head: `import { pbkdf2Sync } from "node:crypto";`,
    flags: ["nodejs_compat"],
    body: `for (;;) pbkdf2Sync("a", "b", 2_000_000_000, 64, "sha512");`,
  },
  { name: "late", limit: "cpu", body: `await scheduler.wait(20); for (;;);` },
  {
    name: "after the response",
    limit: "cpu",
    body: `ctx.waitUntil(scheduler.wait(20).then(() => { for (;;); }));`,
  },
  {
    name: "heap",
    limit: "memory",
    body: `for (let i = 0; ; i++) { held.push(Array.from({ length: 1000 }, (_, j) => ({ i, j }))); if (i % 50 === 0) await scheduler.wait(1); }`,
  },
  {
    name: "heap at once",
    limit: "memory",
    body: `for (let i = 0; ; i++) held.push(Array.from({ length: 1000 }, (_, j) => ({ i, j })));`,
  },
  {
    name: "array buffers",
    limit: "memory",
    body: `for (;;) { held.push(new Uint8Array(4 << 20).fill(1)); await scheduler.wait(2); }`,
  },
  {
    name: "strings",
    limit: "memory",
    // Decoded, since the runtime keeps concatenated and padded strings as references to their parts.
    body: `for (let i = 0; ; i++) { held.push(new TextDecoder().decode(new Uint8Array(4 << 20).fill(65 + (i % 26)))); await scheduler.wait(2); }`,
  },
  {
    name: "wasm memory",
    limit: "memory",
    head: `import grower from "./module.wasm";`,
    body: `const { m } = new WebAssembly.Instance(grower).exports; for (;;) { const at = m.buffer.byteLength; m.grow(64); new Uint8Array(m.buffer, at).fill(1); await scheduler.wait(2); }`,
  },
  {
    name: "file system",
    limit: "memory",
    head: `import { writeFileSync } from "node:fs";`,
    flags: ["nodejs_compat"],
    body: `for (let i = 0; ; i++) { writeFileSync("/tmp/" + i, new Uint8Array(4 << 20).fill(1)); await scheduler.wait(2); }`,
  },
];

export function attacker(name: string): Attacker {
  const found = ATTACKERS.find((each) => each.name === name);
  if (!found) throw new RangeError(`no attacker ${name}`);
  return found;
}

/** An upload of it. */
export function attackerForm({ name, head = "", body, flags = [] }: Attacker): FormData {
  const source = `${head}
    const held = [];
    export default {
      async fetch(request, env, ctx) {
        if (new URL(request.url).pathname === "/attack") { ${body} }
        return new Response("ok");
      },
    };`;
  const form = new FormData();
  const metadata = {
    main_module: "index.js",
    compatibility_date: "2026-11-01",
    compatibility_flags: flags,
  };
  form.set("metadata", JSON.stringify(metadata));
  const type = "application/javascript+module";
  form.set("index.js", new File([source], "index.js", { type }));
  if (head.includes("module.wasm")) {
    const bytes = name === "wasm" ? WASM_SPIN : WASM_MEMORY;
    form.set("./module.wasm", new File([bytes], "./module.wasm", { type: "application/wasm" }));
  }
  return form;
}

/** Holds `megabytes` of JS heap for good on `/attack`, which is within the limit of one function. */
export function hoarderSource(megabytes: number): string {
  return `const held = [];
    export default {
      fetch(request) {
        if (new URL(request.url).pathname === "/attack")
          while (held.length < ${megabytes}) held.push(Array.from({ length: 131072 }, (_, i) => i + 0.5));
        return new Response("ok");
      },
    };`;
}

function wasm(sections: readonly (readonly [id: number, content: readonly number[]])[]) {
  const bytes = sections.flatMap(([id, content]) => [id, content.length, ...content]);
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...bytes]);
}

function ascii(text: string): number[] {
  return [...text].map((character) => character.charCodeAt(0));
}
