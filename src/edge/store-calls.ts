/** How what functions keep is reached from an edge: over the store's socket, with a grant that is made once for each binding. */
import type { Caller } from "../cell/bindings.ts";
import type { StoreValue } from "../protocol/bundle.ts";
import type { Grants } from "../protocol/grants.ts";
import { STORE_HEADER, type StoreCall } from "../protocol/store.ts";

const MAX_KEPT = 10_000;

export class StoreCalls {
  readonly #store: Fetcher;
  readonly #databases: Fetcher;
  readonly #grants: Grants;
  readonly #headers = new Map<string, string>();

  constructor(store: Fetcher, databases: Fetcher, grants: Grants) {
    this.#store = store;
    this.#databases = databases;
    this.#grants = grants;
  }

  async call(caller: Caller, value: StoreValue, request: Request): Promise<Response> {
    const header = await this.#header(caller, value);
    request.headers.set(STORE_HEADER, header);
    return (value.type === "d1" ? this.#databases : this.#store).fetch(request);
  }

  async #header({ namespace, script }: Caller, value: StoreValue): Promise<string> {
    const { type: kind, id } = value;
    const name = `${namespace}/${script}/${kind}/${id}`;
    const kept = this.#headers.get(name);
    if (kept !== undefined) return kept;
    const grant = await this.#grants.make({ namespace, script }, value);
    const call: StoreCall = { kind, id, namespace, script, grant };
    const header = JSON.stringify(call);
    if (this.#headers.size >= MAX_KEPT) this.#headers.clear();
    this.#headers.set(name, header);
    return header;
  }
}
