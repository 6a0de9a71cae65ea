/**
 * Inside the isolate: a namespace of Durable Objects that another process holds. Ids are made here, as the runtime makes
 * them (SHA-256 and HMAC under the key of the class), since that must not wait; calls go to `SkepObjects`
 * (src/cell/objects-binding.ts).
 */

/** What the trusted side offers beside `fetch`. */
interface ObjectsStub extends Fetcher {
  call(
    id: string,
    name: string | undefined,
    method: string,
    args: readonly unknown[],
  ): Promise<unknown>;
}

/** Its source goes into isolates as it is: it refers to nothing but globals. */
export function makeObjects(stub: Fetcher, { key }: { readonly key: string }): unknown {
  const TrueRequest = Request;
  const TrueHeaders = Headers;
  const TrueProxy = Proxy;
  const { stringify } = JSON;
  const encode = encodeURIComponent;
  const { apply, get: readProperty, has: hasProperty } = Reflect;
  const describe: () => string = Object.prototype["toString"];
  const random = crypto.getRandomValues.bind(crypto);
  const encoder = new TextEncoder();
  const objects = stub as ObjectsStub;

  // SHA-256 as in FIPS 180-4; the constants are the fractional parts of roots of the first primes.
  const fraction = (root: number) => ((root - Math.floor(root)) * 2 ** 32) | 0;
  const primes: number[] = [];
  for (let n = 2; primes.length < 64; n++)
    if (primes.every((prime) => n % prime > 0)) primes.push(n);
  const INITIAL = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
  const ROUNDS = primes.map((prime) => fraction(Math.cbrt(prime)));
  const rotated = (word: number, bits: number) => (word >>> bits) | (word << (32 - bits));

  function sha256(message: Uint8Array): Uint8Array {
    const padded = new Uint8Array((((message.length + 8) >> 6) + 1) * 64);
    padded.set(message);
    padded[message.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setUint32(padded.length - 8, Math.floor(message.length / 2 ** 29));
    view.setUint32(padded.length - 4, message.length << 3);
    const state = Int32Array.from(INITIAL);
    const words = new Int32Array(64);
    for (let block = 0; block < padded.length; block += 64) {
      for (let t = 0; t < 64; t++)
        words[t] = t < 16 ? view.getInt32(block + t * 4) : expanded(words, t);
      compress(state, words);
    }
    const digest = new DataView(new ArrayBuffer(32));
    for (const [index, word] of state.entries()) digest.setInt32(index * 4, word);
    return new Uint8Array(digest.buffer);
  }

  function expanded(words: Int32Array, t: number): number {
    const early = words[t - 15] as number;
    const late = words[t - 2] as number;
    const s0 = rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3);
    const s1 = rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10);
    return ((words[t - 16] as number) + s0 + (words[t - 7] as number) + s1) | 0;
  }

  function compress(state: Int32Array, words: Int32Array): void {
    let [a, b, c, d, e, f, g, h] = state as unknown as number[] as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    for (let t = 0; t < 64; t++) {
      const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
      const one =
        (h + s1 + ((e & f) ^ (~e & g)) + (ROUNDS[t] as number) + (words[t] as number)) | 0;
      const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    for (const [index, word] of [a, b, c, d, e, f, g, h].entries()) {
      state[index] = ((state[index] as number) + word) | 0;
    }
  }

  function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
    const both = new Uint8Array(a.length + b.length);
    both.set(a);
    both.set(b, a.length);
    return both;
  }

  let secret: Uint8Array | undefined;
  /** HMAC (RFC 2104) of 32 bytes. */
  function mac(message: Uint8Array): Uint8Array {
    secret ??= sha256(encoder.encode(key));
    const inner = new Uint8Array(64).fill(0x36);
    const outer = new Uint8Array(64).fill(0x5c);
    for (const [index, byte] of secret.entries()) {
      inner[index] = 0x36 ^ byte;
      outer[index] = 0x5c ^ byte;
    }
    return sha256(joined(outer, sha256(joined(inner, message))));
  }

  function hexOf(bytes: Uint8Array): string {
    let hex = "";
    for (const byte of bytes) hex += (byte < 16 ? "0" : "") + byte.toString(16);
    return hex;
  }

  /** `base`: the first half of an id; the other one shows that it was made for this class. */
  const idOf = (base: Uint8Array) => hexOf(joined(base, mac(base).subarray(0, 16)));

  class DurableObjectId {
    readonly #hex: string;
    declare readonly name: string | undefined;
    constructor(hex: string, name?: string) {
      this.#hex = hex;
      Object.defineProperty(this, "jurisdiction", { value: undefined, enumerable: true });
      Object.defineProperty(this, "name", { value: name, enumerable: true });
    }
    toString(): string {
      return this.#hex;
    }
    equals(other: DurableObjectId): boolean {
      return this.#hex === hexOfId(other, "equals", "DurableObjectId");
    }
    get [Symbol.toStringTag](): string {
      return "DurableObjectId";
    }
  }

  /** Of one that was made here, by another binding or by the runtime. */
  function hexOfId(id: unknown, method: string, of: string): string {
    if (typeof id === "object" && apply(describe, id, []) === "[object DurableObjectId]") {
      return (id as DurableObjectId).toString();
    }
    throw notOfType(method, of, "DurableObjectId");
  }

  function notOfType(method: string, of: string, type: string): TypeError {
    return new TypeError(
      `Failed to execute '${method}' on '${of}': parameter 1 is not of type '${type}'.`,
    );
  }

  function refuseJurisdiction(jurisdiction: unknown): void {
    if (jurisdiction === undefined || jurisdiction === null) return;
    throw new Error("Jurisdiction restrictions are not implemented in workerd.");
  }

  class DurableObject {
    readonly id!: DurableObjectId;
    declare readonly name: string | undefined;
    constructor(id: DurableObjectId, name: string | undefined) {
      Object.defineProperty(this, "id", { value: id, enumerable: true });
      Object.defineProperty(this, "name", { value: name, enumerable: true });
    }
    connect(): never {
      throw new TypeError("connect() to a Durable Object is not supported; call fetch()");
    }
    get [Symbol.toStringTag](): string {
      return "DurableObject";
    }
  }

  function stubOf(id: DurableObjectId, hex: string): unknown {
    const { name } = id;
    const header = encode(stringify({ id: hex, name }).toWellFormed());
    const fetch = async (input: RequestInfo | URL, init?: RequestInit) => {
      const request = new TrueRequest(input, init);
      const headers = new TrueHeaders(request.headers);
      headers.set("x-skep-object", header);
      return objects.fetch(new TrueRequest(request, { headers }));
    };
    // What is neither here nor the runtime's own name is a method of the object.
    return new TrueProxy(new DurableObject(id, name), {
      get(target, property) {
        if (property === "fetch") return fetch;
        if (typeof property !== "string" || property === "then" || hasProperty(target, property)) {
          return readProperty(target, property) as unknown;
        }
        return (...args: readonly unknown[]) => objects.call(hex, name, property, args);
      },
    });
  }

  class DurableObjectNamespace {
    newUniqueId(options?: { jurisdiction?: string }): DurableObjectId {
      refuseJurisdiction(options?.jurisdiction);
      return new DurableObjectId(idOf(random(new Uint8Array(16))));
    }
    idFromName(...given: readonly unknown[]): DurableObjectId {
      if (given.length === 0) throw notOfType("idFromName", "DurableObjectNamespace", "string");
      const name = String(given[0]).toWellFormed();
      return new DurableObjectId(idOf(mac(encoder.encode(name)).subarray(0, 16)), name);
    }
    idFromString(...given: readonly unknown[]): DurableObjectId {
      if (given.length === 0) throw notOfType("idFromString", "DurableObjectNamespace", "string");
      const hex = String(given[0]).toLowerCase();
      if (!/^[0-9a-f]{64}$/.test(hex)) {
        throw new TypeError("Invalid Durable Object ID: must be 64 hex digits");
      }
      const base = new Uint8Array(16);
      for (let index = 0; index < 16; index++) {
        base[index] = parseInt(hex.slice(index * 2, index * 2 + 2), 16);
      }
      if (idOf(base) !== hex) {
        throw new TypeError("Durable Object ID is not valid for this namespace.");
      }
      return new DurableObjectId(hex);
    }
    get(id: DurableObjectId, options?: { routingMode?: string }): unknown {
      const hex = hexOfId(id, "get", "DurableObjectNamespace");
      const { routingMode } = options ?? {};
      if (routingMode !== undefined && routingMode !== "primary-only") {
        throw new RangeError(`unknown routingMode: ${routingMode}`);
      }
      return stubOf(id, hex);
    }
    getByName(...given: readonly unknown[]): unknown {
      if (given.length === 0) throw notOfType("getByName", "DurableObjectNamespace", "string");
      return this.get(this.idFromName(given[0]), given[1] as { routingMode?: string } | undefined);
    }
    jurisdiction(jurisdiction?: string): DurableObjectNamespace {
      refuseJurisdiction(jurisdiction);
      return this;
    }
    get [Symbol.toStringTag](): string {
      return "DurableObjectNamespace";
    }
  }
  return new DurableObjectNamespace();
}
