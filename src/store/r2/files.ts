/**
 * Files of a bucket on the store's disk: `r2/<bucket>/<first two of the name>/<name>/content`. Each has a directory of its own,
 * because the runtime writes into a hidden file beside it first: whoever deletes the directory deletes what a crash left, too.
 */
export class BucketFiles {
  readonly #disk: Fetcher;
  readonly #bucket: string;

  constructor(disk: Fetcher, bucket: string) {
    this.#disk = disk;
    this.#bucket = bucket;
  }

  /** The file is there, whole, once this resolves; else not at all. */
  async write(file: string, content: ReadableStream): Promise<void> {
    const response = await this.#disk.fetch(`${this.#directory(file)}/content`, {
      method: "PUT",
      body: content,
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`writing an object's file: ${response.status}`);
  }

  /** null: there is none. `offset` and `length` in bytes; a range reads no more than itself. */
  async read(file: string, offset: number, length: number): Promise<ReadableStream | null> {
    const headers = { range: `bytes=${offset}-${offset + length - 1}` };
    const response = await this.#disk.fetch(`${this.#directory(file)}/content`, { headers });
    // 200: the range was all of it.
    if (response.ok && response.body !== null) return response.body;
    await response.body?.cancel();
    if (response.status === 404) return null;
    throw new Error(`reading an object's file: ${response.status}`);
  }

  async delete(file: string): Promise<void> {
    await this.#remove(this.#directory(file));
  }

  /** Directory after directory, so that a large bucket does not hold up others for long. */
  async deleteAll(): Promise<void> {
    for (let first = 0; first < 256; first++) {
      await this.#remove(`${this.#root()}/${first.toString(16).padStart(2, "0")}`);
    }
    await this.#remove(this.#root());
  }

  async #remove(url: string): Promise<void> {
    const response = await this.#disk.fetch(url, { method: "DELETE" });
    await response.body?.cancel();
    if (!response.ok && response.status !== 404) {
      throw new Error(`deleting an object's file: ${response.status}`);
    }
  }

  #directory(file: string): string {
    return `${this.#root()}/${file.slice(0, 2)}/${file}`;
  }

  #root(): string {
    return `http://files/r2/${this.#bucket}`;
  }
}
