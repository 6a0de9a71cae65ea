/**
 * Arguments and results of RPC between processes, as text. What structured clone carries is carried, cycles and
 * shared references included; whatever is alive (functions, streams, stubs, requests) cannot leave its process
 * and is refused.
 *
 * JSON of a list of nodes. The first is the value itself; nodes name others by their index.
 */

/** As Cloudflare bounds a message of its RPC. */
export const MAX_RPC_CHARACTERS = 32 * 1024 * 1024;

/** Structured clone writes a hole as nothing, so that an array of four thousand million may come in. */
const MAX_WITH_HOLES = 100_000;

type Node = string | number | boolean | null | readonly [tag: string, ...parts: unknown[]];

const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
const VIEWS = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
} as const;

/** Throws a TypeError for what cannot be carried; `what` names the value in it: `an argument of greet()`. */
export function encodeStructured(root: unknown, what: string): string {
  const nodes: Node[] = [];
  const values: unknown[] = [];
  const known = new Map<unknown, number>();
  let characters = 0;
  const indexOf = (value: unknown): number => {
    const isObject = typeof value === "object" && value !== null;
    const seen = isObject ? known.get(value) : undefined;
    if (seen !== undefined) return seen;
    // Before it is made: a million views of one buffer come in at next to no cost, too.
    characters += sizeOf(value);
    if (characters > MAX_RPC_CHARACTERS) throw tooLarge(what, characters);
    const index = values.push(value) - 1;
    if (isObject) known.set(value, index);
    return index;
  };
  indexOf(root);
  // `values` grows while nodes are made.
  for (let index = 0; index < values.length; index++) {
    nodes.push(toNode(values[index], indexOf, what));
  }
  const text = JSON.stringify(nodes);
  if (text.length > MAX_RPC_CHARACTERS) throw tooLarge(what, text.length);
  return text;
}

/** Of a node, and of the index by which another names it; where there are millions, they take more. */
const NODE_CHARACTERS = 8;

function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length + NODE_CHARACTERS;
  if (typeof value !== "object") return NODE_CHARACTERS;
  const hasBytes = ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
  return hasBytes ? value.byteLength + NODE_CHARACTERS : NODE_CHARACTERS;
}

function tooLarge(what: string, characters: number): TypeError {
  return new TypeError(
    `${what} takes ${characters} characters or more, and RPC carries no more than ${MAX_RPC_CHARACTERS}; use fetch() with a body`,
  );
}

function toNode(value: unknown, indexOf: (value: unknown) => number, what: string): Node {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? value : ["number", literal(value)];
    case "undefined":
      return ["undefined"];
    case "bigint":
      return ["bigint", String(value)];
    case "object":
      return value === null ? null : objectNode(value, indexOf, what);
    case "function":
    case "symbol":
      throw notCarried(what, `a ${typeof value}`);
  }
}

function literal(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function objectNode(value: object, indexOf: (value: unknown) => number, what: string): Node {
  if (Array.isArray(value)) {
    if (value.length > MAX_WITH_HOLES && Object.keys(value).length < value.length) {
      throw notCarried(what, `an array of ${value.length} elements with holes`);
    }
    // A hole is no undefined.
    const items = Array.from(value, (item, at) => (at in value ? indexOf(item) : -1));
    return ["array", items];
  }
  if (value instanceof Date)
    return ["date", Number.isNaN(value.getTime()) ? null : value.getTime()];
  if (value instanceof RegExp) return ["regexp", value.source, value.flags];
  if (value instanceof Map) {
    return ["map", [...value].map(([key, item]) => [indexOf(key), indexOf(item)])];
  }
  if (value instanceof Set) return ["set", [...value].map(indexOf)];
  if (value instanceof ArrayBuffer) return ["buffer", new Uint8Array(value).toBase64()];
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    return ["view", value[Symbol.toStringTag as never] as string, bytes.toBase64()];
  }
  if (value instanceof Error) {
    const { name, message, stack, cause } = value;
    return [
      "error",
      String(name),
      String(message),
      stack ?? null,
      "cause" in value ? indexOf(cause) : -1,
    ];
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    return ["object", Object.entries(value).map(([key, item]) => [key, indexOf(item)])];
  }
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  throw notCarried(what, kind === "Object" ? "an instance of a class" : `a ${kind}`);
}

function notCarried(what: string, kind: string): TypeError {
  return new TypeError(
    `${what} is or contains ${kind}, which cannot be sent: caller and callee may run in different processes, ` +
      "so RPC carries data only (what structured clone takes). Use fetch() for streams, requests and responses.",
  );
}

export function decodeStructured(text: string): unknown {
  const nodes = JSON.parse(text) as Node[];
  const values = nodes.map(shellOf);
  for (const [index, node] of nodes.entries()) {
    if (Array.isArray(node)) fill(values[index], node as readonly [string, ...unknown[]], values);
  }
  return values[0];
}

/** Everything of a value but what refers to other values. */
function shellOf(node: Node): unknown {
  if (!Array.isArray(node)) return node;
  const [tag, first, second, third] = node as unknown as readonly [
    string,
    string,
    string,
    string | null,
  ];
  switch (tag) {
    case "undefined":
      return undefined;
    case "number":
      return Number(first);
    case "bigint":
      return BigInt(first);
    case "date":
      return new Date((first as number | string | null) ?? Number.NaN);
    case "regexp":
      return new RegExp(first, second);
    case "array":
      return [];
    case "map":
      return new Map();
    case "set":
      return new Set();
    case "buffer":
      return Uint8Array.fromBase64(first).buffer;
    case "view":
      return viewOf(first, Uint8Array.fromBase64(second).buffer);
    case "error":
      return errorOf(first, second, third);
    case "object":
      return {};
    default:
      throw new TypeError(`RPC carries no ${tag}`);
  }
}

function viewOf(name: string, buffer: ArrayBuffer): ArrayBufferView {
  if (!Object.hasOwn(VIEWS, name)) throw new TypeError(`RPC carries no ${name}`);
  const type = VIEWS[name as keyof typeof VIEWS] as new (buffer: ArrayBuffer) => ArrayBufferView;
  return new type(buffer);
}

/** An error of a class of its own becomes an Error of that name. */
export function errorOf(name: string, message: string, stack: string | null | undefined): Error {
  const type = Object.hasOwn(ERRORS, name) ? ERRORS[name as keyof typeof ERRORS] : Error;
  const error = new type(message);
  if (error.name !== name) error.name = name;
  if (stack != null) error.stack = stack;
  return error;
}

function fill(
  target: unknown,
  [tag, ...parts]: readonly [string, ...unknown[]],
  values: readonly unknown[],
): void {
  switch (tag) {
    case "array": {
      const items = parts[0] as number[];
      const array = target as unknown[];
      array.length = items.length;
      for (const [at, index] of items.entries()) if (index >= 0) array[at] = values[index];
      return;
    }
    case "object":
      for (const [key, index] of parts[0] as [string, number][]) {
        // An assignment to `__proto__` would be none.
        const value = values[index];
        Object.defineProperty(target, key, {
          value,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      }
      return;
    case "map":
      for (const [key, item] of parts[0] as [number, number][]) {
        (target as Map<unknown, unknown>).set(values[key], values[item]);
      }
      return;
    case "set":
      for (const index of parts[0] as number[]) (target as Set<unknown>).add(values[index]);
      return;
    case "error":
      if ((parts[3] as number) >= 0) (target as Error).cause = values[parts[3] as number];
  }
}
