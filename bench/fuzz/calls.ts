/**
 * Calls of the API as nobody should make them: valid ones, with bodies, headers, boundaries, metadata, paths and
 * encodings changed at random. The same seed makes the same calls. Pure: the hub's tests send them in workerd,
 * the benchmark over a socket.
 */
import type { Random } from "../keep-alive/random.ts";

export interface FuzzCall {
  readonly method: string;
  /** From `/client/v4` on. */
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | null;
}

const encoder = new TextEncoder();

export function fuzzCall(random: Random, account: string): FuzzCall {
  const base = random() < 0.45 ? upload(random, account) : jsonCall(random, account);
  let call = base;
  // Some stay as they are: they must be accepted, so that there is state to spoil.
  for (let changes = Math.floor(random() * 4); changes > 0; changes--) {
    call = pick(random, MUTATIONS)(random, call);
  }
  return call;
}

type Mutation = (random: Random, call: FuzzCall) => FuzzCall;

const MUTATIONS: readonly Mutation[] = [
  (random, call) => ({ ...call, body: mutateBytes(random, call.body) }),
  (random, call) => ({ ...call, body: mutateBytes(random, call.body) }),
  (random, call) => ({ ...call, body: replaceInText(random, call.body) }),
  (random, call) => ({ ...call, body: replaceInText(random, call.body) }),
  (random, call) => ({ ...call, path: mutatePath(random, call.path) }),
  (random, call) => ({ ...call, method: pick(random, METHODS) }),
  (random, call) => ({ ...call, headers: mutateHeaders(random, call.headers) }),
];

const METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND"];

/** What no parser likes. None of it is a valid name, so that accepted calls stay few. */
const NASTY = [
  "",
  "\0",
  "..",
  "../../etc/passwd",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "-1",
  "NaN",
  "1e999",
  "99999999999999999999",
  "true",
  "[]",
  "{}",
  '"',
  "\\u0000",
  "\\ud800",
  "\ud800",
  "é",
  "\u202e",
  "😀".repeat(40),
  "a".repeat(300),
  "x".repeat(6000),
  "'; DROP TABLE scripts; --",
  "%",
  "${7*7}",
  "\r\nx-injected: 1",
  "2026-13-45",
  "9999-12-31",
];

const NAMES = ["fuzz-a", "fuzz-b", "fuzz_c"];

function scriptRoot(random: Random, account: string): string {
  const script = pick(random, NAMES);
  return pick(random, [
    `/accounts/${account}/workers/scripts/${script}`,
    `/accounts/${account}/workers/dispatch/namespaces/production/scripts/${script}`,
  ]);
}

function upload(random: Random, account: string): FuzzCall {
  const boundary = `----fuzz${Math.floor(random() * 1e9)}`;
  const metadata: Record<string, unknown> = {
    main_module: "index.js",
    compatibility_date: "2026-01-01",
    ...somewhat(random, METADATA),
  };
  const spelled = random() < 0.2 ? flattened(metadata) : [["metadata", JSON.stringify(metadata)]];
  const parts = [
    ...spelled.map(
      ([name, text]) => `Content-Disposition: form-data; name="${name}"\r\n\r\n${text}`,
    ),
    ...somewhatOf(random, MODULES, 0.4),
    pick(random, MAINS),
  ];
  const body = `${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join("")}--${boundary}--\r\n`;
  const [method, rest] = pick(random, [
    ["PUT", ""],
    ["PUT", "?bindings_inherit=strict"],
    ["PUT", "/content"],
    ["POST", "/versions"],
    ["PATCH", "/settings"],
  ] as const);
  return {
    method,
    path: `${scriptRoot(random, account)}${rest}`,
    headers: [["content-type", `multipart/form-data; boundary=${boundary}`]],
    body: encoder.encode(body),
  };
}

const MAINS = [
  file("index.js", "application/javascript+module", "export default { fetch() {} };"),
  file("index.js", "application/javascript+module", "export default { fetch() {} };"),
  file("index.js", "application/javascript+module", "export default {"),
  file("index.js", "application/javascript", "addEventListener('fetch', () => {});"),
  file("index.js", "application/javascript+module", "throw new Error('at start');"),
];

const MODULES = [
  file("./note.txt", "text/plain", "note"),
  file("./data.bin", "application/octet-stream", "\u0001\u0002"),
  file("./bad.wasm", "application/wasm", "not wasm"),
  file("index.js", "application/javascript+module", "export {};"),
  file("m.py", "text/x-python", "pass"),
  file("../escape.js", "application/javascript+module", "export {};"),
  file("index.js.map", "application/source-map", "{}"),
];

function file(name: string, type: string, content: string): string {
  return `Content-Disposition: form-data; name="${name}"; filename="${name}"\r\nContent-Type: ${type}\r\n\r\n${content}`;
}

const METADATA: Readonly<Record<string, readonly unknown[]>> = {
  bindings: [
    [],
    [{ type: "plain_text", name: "A", text: "a" }],
    [{ type: "json", name: "J", json: { deep: [[[1]]] } }],
    [{ type: "secret_text", name: "S", text: "hidden" }],
    [
      { type: "inherit", name: "S" },
      { type: "version_metadata", name: "V" },
    ],
    [{ type: "wasm_module", name: "W", part: "./bad.wasm" }],
    [{ type: "kv_namespace", name: "K", namespace_id: "1" }],
    [{ type: "service", name: "T", service: "fuzz-a", entrypoint: "E", props: { a: 1 } }],
    [{ type: "dispatch_namespace", name: "D", namespace: "production" }],
    [{ type: "ratelimit", name: "R", namespace_id: "1", simple: { limit: 1, period: 10 } }],
    [{ type: "analytics_engine", name: "AE", dataset: "d" }],
    [{ type: "assets", name: "ASSETS" }],
    [null, 1, "text", { type: 7 }],
    "bindings",
  ],
  keep_bindings: [["secret_text"], ["plain_text", "json"], [1], "all"],
  compatibility_flags: [[], ["nodejs_compat"], ["experimental"], ["no_such_flag"], [0]],
  limits: [{ cpu_ms: 50 }, { cpu_ms: -1 }, { cpu_ms: "9", subrequests: 1e9 }, [], "none"],
  placement: [{ mode: "smart" }, { mode: "targeted", region: "x" }, 5],
  tags: [["a", "b"], ["a,b"], Array.from({ length: 20 }, (_, i) => `t${i}`), [null]],
  observability: [{ enabled: true }, { enabled: "x" }, { logs: { enabled: 1 } }, 1],
  annotations: [{ "workers/message": "m", "workers/tag": "t" }, { a: 1 }, []],
  assets: [{ jwt: "a.b.c", config: {} }, {}, { jwt: 1 }],
  tail_consumers: [[{ service: "fuzz-b" }], [], [{}], "x"],
  migrations: [
    { new_tag: "v1", steps: [] },
    { new_tag: "v1", steps: [{ new_classes: ["A"] }] },
  ],
  logpush: [true, false, "false", 3],
  compatibility_date: ["2026-01-01", "2020-02-31", "tomorrow", 20260101, null],
  main_module: ["index.js", "other.js", "", 1, null, "__proto__"],
  __proto__key: [{ polluted: true }],
};

/** The official SDK's spelling. */
function flattened(metadata: Record<string, unknown>): string[][] {
  const leaves = (root: string, value: unknown): string[][] => {
    if (Array.isArray(value)) return value.flatMap((each) => leaves(`${root}[]`, each));
    if (typeof value === "object" && value !== null) {
      return Object.entries(value).flatMap(([key, each]) => leaves(`${root}[${key}]`, each));
    }
    return [[root, String(value)]];
  };
  return leaves("metadata", metadata);
}

function jsonCall(random: Random, account: string): FuzzCall {
  const script = scriptRoot(random, account);
  const all = `/accounts/${account}/workers`;
  const namespaces = `${all}/dispatch/namespaces`;
  const [method, path, body] = pick<readonly [string, string, unknown]>(random, [
    ["PUT", `${script}/secrets`, { name: "S", type: "secret_text", text: "t" }],
    ["PATCH", `${script}/secrets-bulk`, { secrets: { S: null } }],
    ["DELETE", `${script}/secrets/S`, null],
    ["PUT", `${script}/tags`, ["a"]],
    ["PUT", `${script}/tags/b`, null],
    ["PUT", `${script}/limits`, { cpu_ms: 20 }],
    ["PUT", `${namespaces}/production/limits`, { concurrency: 10 }],
    ["PATCH", `${script}/settings`, { settings: { tags: ["x"] } }],
    ["PATCH", `${script}/script-settings`, { observability: { enabled: true } }],
    [
      "POST",
      `${script}/deployments`,
      {
        strategy: "percentage",
        versions: [{ version_id: "00000000-0000-4000-8000-000000000000", percentage: 100 }],
      },
    ],
    ["POST", `${script}/subdomain`, { enabled: true }],
    ["PUT", `${script}/schedules`, []],
    ["PATCH", `${all}/workers/fuzz-a/versions/latest`, { env: { S: null } }],
    ["PATCH", `${all}/workers/fuzz-a`, { subdomain: { enabled: false } }],
    ["POST", namespaces, { name: "fuzz-namespace" }],
    ["PUT", `${namespaces}/fuzz-namespace`, { isolation: "dedicated" }],
    ["DELETE", `${namespaces}/fuzz-namespace`, null],
    [
      "POST",
      `${all}/dispatch/routes`,
      { pattern: "fuzz.example/*", namespace: "production", script: "fuzz-a" },
    ],
    ["DELETE", script, null],
    ["DELETE", `${namespaces}/production/scripts?tags=a:yes`, null],
    ["GET", `${script}/metrics?since=1h&points=10`, null],
    ["GET", `${namespaces}/production/events?limit=5`, null],
    ["GET", `${namespaces}/production/scripts?page=1&per_page=2`, null],
    ["GET", `${script}/versions?page=2`, null],
    ["GET", `${script}/content`, null],
    ["POST", `${script}/assets-upload-session`, { manifest: { "/a": { hash: "a", size: 1 } } }],
    ["POST", `${script}/tails`, { filters: [{ sampling_rate: 1 }] }],
    ["GET", "/zones?name=fuzz.example", null],
    ["POST", `/accounts/${account}/queues`, { queue_name: "q" }],
  ]);
  return {
    method,
    path,
    headers: [["content-type", pick(random, ["application/json", "text/plain;charset=UTF-8"])]],
    body: body === null ? null : encoder.encode(JSON.stringify(body)),
  };
}

function mutateBytes(random: Random, body: Uint8Array | null): Uint8Array {
  if (body === null || body.length === 0) return encoder.encode(pick(random, NASTY));
  const at = Math.floor(random() * body.length);
  const length = Math.floor(random() * Math.min(64, body.length - at));
  return pick(random, [
    () => body.slice(0, at),
    () => body.slice(at),
    () => body.with(at, Math.floor(random() * 256)),
    () => joined(body.slice(0, at), body.slice(at + length)),
    () => joined(body.slice(0, at), body.slice(at, at + length), body.slice(at)),
    () => joined(body.slice(0, at), encoder.encode(pick(random, NASTY)), body.slice(at)),
    () => joined(Uint8Array.of(0xef, 0xbb, 0xbf), body),
    () => Uint8Array.from({ length: Math.floor(random() * 200) }, () => random() * 256),
  ])();
}

/** A word, a number or a string of the text becomes something nasty. */
function replaceInText(random: Random, body: Uint8Array | null): Uint8Array {
  const text = new TextDecoder().decode(body ?? new Uint8Array());
  const words = [...text.matchAll(/"[^"]*"|[\w.-]+|[{}[\]]/g)];
  if (words.length === 0) return encoder.encode(pick(random, NASTY));
  const { 0: word, index } = pick(random, words);
  const nasty = pick(random, NASTY);
  const instead = pick(random, [nasty, JSON.stringify(nasty), "null", "[[]]", '{"a":{}}', "1e400"]);
  return encoder.encode(text.slice(0, index) + instead + text.slice(index + word.length));
}

function mutatePath(random: Random, path: string): string {
  const segments = path.split("/");
  const at = 1 + Math.floor(random() * (segments.length - 1));
  const nasty = pick(random, NASTY);
  return pick(random, [
    () => segments.with(at, encode(nasty)).join("/"),
    () => segments.toSpliced(at, 1).join("/"),
    () => segments.toSpliced(at, 0, segments[at] ?? "").join("/"),
    () => segments.with(at, `${segments[at]}%`).join("/"),
    () => segments.with(at, "%E0%A4%A").join("/"),
    () => segments.with(at, "%00").join("/"),
    () => `${path}//`,
    () => `${path}?page=${encode(nasty)}&per_page=${encode(nasty)}`,
    () => `${path}?tags=${encode(nasty)}&since=${encode(nasty)}&limit=${encode(nasty)}`,
    () => path.toUpperCase(),
  ])();
}

/** Lone surrogates have no encoding in URLs. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function mutateHeaders(
  random: Random,
  headers: FuzzCall["headers"],
): readonly (readonly [string, string])[] {
  return pick(random, [
    () => [],
    () => [["content-type", "application/javascript"] as const],
    () => [["content-type", "multipart/form-data"] as const],
    () => [["content-type", 'multipart/form-data; boundary=""'] as const],
    () => [["content-type", `multipart/form-data; boundary=${"b".repeat(300)}`] as const],
    () => [["content-type", ";;/,"] as const],
    () => [...headers, ["cf-worker-main-module-part", "index.js"] as const],
    () => [...headers, ["authorization", "Bearer nobody"] as const],
    () => [...headers, ["authorization", "Basic ="] as const],
    () => [...headers, ["x-auth-email", "a@b"] as const, ["x-auth-key", "k"] as const],
    () => [...headers, ["content-encoding", "gzip"] as const],
    () => [...headers, ["x-filler", "f".repeat(4000)] as const],
  ])();
}

function somewhat(
  random: Random,
  choices: Readonly<Record<string, readonly unknown[]>>,
): Record<string, unknown> {
  const chosen = Object.entries(choices).filter(() => random() < 0.08);
  return Object.fromEntries(chosen.map(([key, values]) => [key, pick(random, values)]));
}

function somewhatOf<Item>(random: Random, items: readonly Item[], share: number): Item[] {
  return random() < share ? items.filter(() => random() < 0.3) : [];
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)] as Item;
}
