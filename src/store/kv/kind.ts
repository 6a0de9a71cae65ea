/**
 * KV namespaces in the store. Beside the binding's protocol:
 *
 *   POST   /kv/{id}/entries   JSON array of KvPair: puts them, in this order
 *   DELETE /kv/{id}/entries   JSON array of keys
 */
import type { StoreConfig } from "../../protocol/store.ts";
import type { Kind } from "../kinds.ts";
import type { KvPair } from "../../protocol/kv.ts";
import type { Pair } from "./namespace.ts";

export const kv: Kind = {
  bind: (request, id, env) => env.KV.getByName(id).fetch(request),

  async administer(request, id, env) {
    const object = env.KV.getByName(id);
    switch (request.method) {
      case "POST": {
        const pairs = (await request.json<KvPair[]>()).map((pair) => ({
          ...pair,
          value: Uint8Array.fromBase64(pair.value),
        }));
        for (const some of slices(pairs)) {
          const answer = await object.putMany(some);
          if (!answer.ok) return answer;
        }
        return new Response(null, { status: 204 });
      }
      case "DELETE":
        return object.deleteMany(await request.json<string[]>());
    }
    return new Response(`no such call: ${request.method}`, { status: 405 });
  },

  async configure(config, id, env) {
    const object = env.KV.getByName(id);
    if (config === null) await object.remove(id);
    else await object.configure(config as StoreConfig);
  },
};

/** Arguments of one call to an object have 32 MiB at most; a value may have 25. */
const MAX_SLICE_BYTES = 4 * 1024 * 1024;

function* slices(pairs: readonly Pair[]): Generator<readonly Pair[]> {
  let start = 0;
  let bytes = 0;
  for (const [index, { key, value, metadata }] of pairs.entries()) {
    bytes += value.byteLength + 3 * (key.length + (metadata?.length ?? 0));
    if (bytes <= MAX_SLICE_BYTES) continue;
    yield pairs.slice(start, index + 1);
    start = index + 1;
    bytes = 0;
  }
  if (start < pairs.length) yield pairs.slice(start);
}
