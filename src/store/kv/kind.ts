/**
 * KV namespaces in the store. Beside the binding's protocol:
 *
 *   POST   /kv/{id}/entries   JSON array of KvPair: puts them, in this order
 *   DELETE /kv/{id}/entries   JSON array of keys
 */
import type { StoreConfig } from "../../protocol/store.ts";
import type { Kind } from "../kinds.ts";
import type { KvPair } from "../../protocol/kv.ts";

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
        return object.putMany(pairs);
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
