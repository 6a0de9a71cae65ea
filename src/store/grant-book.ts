/** Which calls were found to be granted: the proof of each is checked once. */
import type { Grants } from "../protocol/grants.ts";
import { STORE_KINDS, type StoreCall } from "../protocol/store.ts";

const MAX_KEPT = 50_000;
/** Names have at most a few hundred characters; what is longer is none of ours. */
const MAX_CHARACTERS = 2_048;

export class GrantBook {
  readonly #grants: Grants;
  readonly #granted = new Map<string, StoreCall>();

  constructor(grants: Grants) {
    this.#grants = grants;
  }

  /** undefined: the header `text` does not show that the caller has such a binding. */
  async check(text: string): Promise<StoreCall | undefined> {
    const known = this.#granted.get(text);
    if (known !== undefined) return known;
    const call = text.length > MAX_CHARACTERS ? null : parsed(text);
    if (call === null || !isKind(call.kind)) return undefined;
    const { kind: type, id, namespace = "", script = "", grant } = call;
    const isGranted = await this.#grants.hold({ namespace, script }, { type, id, name: "" }, grant);
    if (!isGranted) return undefined;
    if (this.#granted.size >= MAX_KEPT) this.#granted.clear();
    this.#granted.set(text, call);
    return call;
  }
}

/** null: it is no call. */
function parsed(text: string): StoreCall | null {
  try {
    return JSON.parse(text) as StoreCall | null;
  } catch {
    return null;
  }
}

function isKind(kind: unknown): boolean {
  return (STORE_KINDS as readonly unknown[]).includes(kind);
}
