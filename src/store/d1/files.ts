/** Files of databases, on the store's disk: each is complete, or not there. */

export class Files {
  readonly #disk: Fetcher;
  readonly #folder: string;

  /** `folder`: of one database. */
  constructor(disk: Fetcher, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  async write(name: string, body: ReadableStream): Promise<void> {
    await this.#done(name, await this.#disk.fetch(this.#url(name), { method: "PUT", body }));
  }

  /** null: there is none. */
  async read(name: string): Promise<ReadableStream | null> {
    const response = await this.#disk.fetch(this.#url(name));
    if (response.ok) return response.body;
    await response.body?.cancel();
    if (response.status === 404) return null;
    throw new Error(`the file ${name} cannot be read: ${response.status}`);
  }

  /** One that is gone already is no error. */
  async delete(name: string): Promise<void> {
    const response = await this.#disk.fetch(this.#url(name), { method: "DELETE" });
    if (response.status !== 404) await this.#done(name, response);
  }

  async bytesOf(name: string): Promise<number> {
    const response = await this.#disk.fetch(this.#url(name), { method: "HEAD" });
    return Number(response.headers.get("content-length") ?? 0);
  }

  /** All of the database. */
  async deleteAll(): Promise<void> {
    const response = await this.#disk.fetch(`http://files/${this.#folder}`, { method: "DELETE" });
    if (response.status !== 404) await this.#done("", response);
  }

  async #done(name: string, response: Response): Promise<void> {
    await response.body?.cancel();
    if (!response.ok) throw new Error(`the file ${name} was not changed: ${response.status}`);
  }

  #url(name: string): string {
    return `http://files/${this.#folder}/${name}`;
  }
}

const PART_CHARACTERS = 256 * 1024;

/** In parts large enough to be worth a turn of the event loop; `texts` is read as the stream is. */
export function streamOf(texts: Iterator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        let part = "";
        while (part.length < PART_CHARACTERS) {
          const next = texts.next();
          if (next.done) {
            if (part !== "") controller.enqueue(encoder.encode(part));
            controller.close();
            return;
          }
          part += next.value;
        }
        controller.enqueue(encoder.encode(part));
      },
    },
    { highWaterMark: 0 },
  );
}

/** The text of a stream, part by part. */
export async function* textsOf(stream: ReadableStream): AsyncGenerator<string> {
  for await (const text of stream.pipeThrough(new TextDecoderStream())) yield text as string;
}
