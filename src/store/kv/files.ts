/** Large values of one KV namespace, each in a file of its own that is never changed: written whole, read, deleted. */

export class ValueFiles {
  readonly #files: Fetcher;
  readonly #directory: string;

  constructor(files: Fetcher, id: string) {
    this.#files = files;
    this.#directory = `http://files/kv/${encodeURIComponent(id)}`;
  }

  /** It is there, complete, when this resolves, and not at all if it rejects. */
  async write(file: string, content: ReadableStream | Uint8Array): Promise<void> {
    const response = await this.#files.fetch(this.#urlOf(file), { method: "PUT", body: content });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`value ${file} not stored: HTTP ${response.status}`);
  }

  /** undefined: it is not there. */
  async read(file: string): Promise<ReadableStream | undefined> {
    const response = await this.#files.fetch(this.#urlOf(file));
    if (response.ok && response.body !== null) return response.body;
    await response.body?.cancel();
    if (response.status === 404) return undefined;
    throw new Error(`value ${file} not readable: HTTP ${response.status}`);
  }

  delete(file: string): Promise<void> {
    return this.#delete(this.#urlOf(file));
  }

  deleteAll(): Promise<void> {
    return this.#delete(this.#directory);
  }

  async #delete(url: string): Promise<void> {
    const response = await this.#files.fetch(url, { method: "DELETE" });
    await response.body?.cancel();
    if (response.ok || response.status === 404) return;
    throw new Error(`${url} not deleted: HTTP ${response.status}`);
  }

  #urlOf(file: string): string {
    return `${this.#directory}/${file}`;
  }
}
