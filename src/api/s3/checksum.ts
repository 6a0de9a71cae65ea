/** Checksums that S3 clients send beside the content, counted while it flows: `x-amz-checksum-<name>`, in base64. */
export interface Checksum {
  update(bytes: Uint8Array): void | Promise<void>;
  /** Base64. */
  digest(): Promise<string>;
}

export const CHECKSUMS = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const;
export type ChecksumName = (typeof CHECKSUMS)[number];

export function checksumOf(name: ChecksumName): Checksum {
  switch (name) {
    case "crc32":
      return new Crc32(0xedb88320);
    case "crc32c":
      return new Crc32(0x82f63b78);
    case "crc64nvme":
      return new Crc64(0x9a6c9329, 0xac4bc9b5);
    case "sha1":
      return new Sha("SHA-1");
    case "sha256":
      return new Sha("SHA-256");
  }
}

class Sha implements Checksum {
  readonly #stream: DigestStream;
  readonly #writer: WritableStreamDefaultWriter;

  constructor(name: string) {
    this.#stream = new crypto.DigestStream(name);
    this.#writer = this.#stream.getWriter();
  }

  update(bytes: Uint8Array): Promise<void> {
    return this.#writer.write(bytes);
  }

  async digest(): Promise<string> {
    await this.#writer.close();
    return new Uint8Array(await this.#stream.digest).toBase64();
  }
}

/** Reflected; the polynomial likewise. */
class Crc32 implements Checksum {
  readonly #table: Uint32Array;
  #crc = 0xffffffff;

  constructor(polynomial: number) {
    this.#table = new Uint32Array(256).map((_, byte) => {
      let crc = byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? polynomial : 0);
      return crc;
    });
  }

  update(bytes: Uint8Array): void {
    const table = this.#table;
    let crc = this.#crc;
    for (const byte of bytes) crc = (table[(crc ^ byte) & 255] as number) ^ (crc >>> 8);
    this.#crc = crc >>> 0;
  }

  digest(): Promise<string> {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, ~this.#crc >>> 0);
    return Promise.resolve(bytes.toBase64());
  }
}

/** The same in two halves, since JavaScript's integers end before 64 bits. */
class Crc64 implements Checksum {
  readonly #highs = new Uint32Array(256);
  readonly #lows = new Uint32Array(256);
  #high = 0xffffffff;
  #low = 0xffffffff;

  constructor(polynomialHigh: number, polynomialLow: number) {
    for (let byte = 0; byte < 256; byte++) {
      let high = 0;
      let low = byte;
      for (let bit = 0; bit < 8; bit++) {
        const isOdd = low & 1;
        low = ((low >>> 1) | (high << 31)) >>> 0;
        high >>>= 1;
        if (isOdd) {
          high ^= polynomialHigh;
          low ^= polynomialLow;
        }
      }
      this.#highs[byte] = high;
      this.#lows[byte] = low;
    }
  }

  update(bytes: Uint8Array): void {
    let high = this.#high;
    let low = this.#low;
    for (const byte of bytes) {
      const index = (low ^ byte) & 255;
      low = ((low >>> 8) | (high << 24)) ^ (this.#lows[index] as number);
      high = (high >>> 8) ^ (this.#highs[index] as number);
    }
    this.#high = high >>> 0;
    this.#low = low >>> 0;
  }

  digest(): Promise<string> {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, ~this.#high >>> 0);
    view.setUint32(4, ~this.#low >>> 0);
    return Promise.resolve(bytes.toBase64());
  }
}
