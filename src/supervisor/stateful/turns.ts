/** One at a time, for each script: whoever has its turn may open its objects' files, in the order of asking. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  isTaken(scriptId: string): boolean {
    return this.#last.has(scriptId);
  }

  /** Resolves, once all turns before are over, with what ends this one. */
  async take(scriptId: string): Promise<() => void> {
    const before = this.#last.get(scriptId);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(scriptId, promise);
    await before;
    return () => {
      if (this.#last.get(scriptId) === promise) this.#last.delete(scriptId);
      resolve();
    };
  }
}
