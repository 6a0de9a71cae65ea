/**
 * Requests that need the same thing at the same time share the work for it. `keepAlive` (the runtime's
 * `waitUntil`) keeps it going when the client of the request that began it leaves.
 */
export class Once<T> {
  readonly #underWay = new Map<string, Promise<T>>();
  readonly #keepAlive: (work: Promise<unknown>) => void;

  constructor(keepAlive: (work: Promise<unknown>) => void) {
    this.#keepAlive = keepAlive;
  }

  /** `isFirst`: this call did the work, the others waited for it. */
  share(key: string, work: () => Promise<T>): { readonly isFirst: boolean; result: Promise<T> } {
    const known = this.#underWay.get(key);
    if (known !== undefined) return { isFirst: false, result: known };
    const result = work().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, result);
    this.#keepAlive(result.catch(() => {}));
    return { isFirst: true, result };
  }
}
