/**
 * The content of an upload by the S3 API: as it is, or in signed or unsigned pieces (`aws-chunked`), with checksums in headers or
 * after the end. Nothing is stored of what does not agree: the stream to the store fails before its end, of which something is
 * held back until all of it has been looked at.
 */
import type { Signer } from "./authenticate.ts";
import { CHECKSUMS, checksumOf, type Checksum, type ChecksumName } from "./checksum.ts";
import { S3Error } from "./s3-error.ts";
import { isSignature, scopeText, sha256Hex, UNSIGNED } from "./sigv4.ts";

const SIGNED_PIECES = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_PIECES_WITH_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_PIECES_WITH_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const MAX_LINE_BYTES = 8 * 1024;
const MAX_TRAILERS = 16;
const READ_BYTES = 64 * 1024;

export interface Payload {
  readonly body: ReadableStream | null;
  /** What the store is to check. */
  readonly hashes: { readonly md5?: string; readonly sha1?: string; readonly sha256?: string };
  /** Rejects with the reason if the content was not as announced; nobody else sees it. */
  readonly arrived: Promise<void>;
}

export async function payloadOf(request: Request, signer: Signer): Promise<Payload> {
  const { headers, body } = request;
  const md5 = headers.get("content-md5");
  const announced = announcedIn(headers);
  const isPieces = signer.payloadHash.startsWith("STREAMING-");
  const isHashed = /^[0-9a-f]{64}$/.test(signer.payloadHash);
  if (!isPieces && !isHashed && signer.payloadHash !== UNSIGNED) {
    throw new S3Error("InvalidArgument", `x-amz-content-sha256 is '${signer.payloadHash}'`);
  }
  const hashes = {
    ...(md5 !== null && { md5: checkedMd5(md5) }),
    ...(announced?.name === "sha1" && { sha1: hexOf(announced.value) }),
    ...(announced?.name === "sha256" && { sha256: hexOf(announced.value) }),
    ...(isHashed && { sha256: signer.payloadHash }),
  };
  const isCounted = announced?.name.startsWith("crc") ?? false;
  if (!isPieces && !isCounted) return { body, hashes, arrived: Promise.resolve() };
  const lengthHeader = isPieces ? "x-amz-decoded-content-length" : "content-length";
  const length = lengthIn(headers, lengthHeader);
  const reader = new PieceReader(body);
  const content = isPieces ? pieces(reader, signer, headers) : whole(reader, announced);
  if (length === 0) {
    // Of nothing there is nothing to hold back.
    await pump(content, length, new WritableStream());
    return { body: null, hashes, arrived: Promise.resolve() };
  }
  const pipe = new FixedLengthStream(length);
  const arrived = pump(content, length, pipe.writable);
  return { body: pipe.readable, hashes, arrived };
}

function lengthIn(headers: Headers, name: string): number {
  const text = headers.get(name);
  if (text === null) throw new S3Error("MissingContentLength", `You must provide ${name}.`);
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new S3Error("InvalidArgument", `${name} is '${text}', which is no number of bytes.`);
}

/** The store has it all as soon as it has so many bytes, whatever comes of the stream then: the last go when nothing is left to check. */
async function pump(
  content: AsyncIterable<Uint8Array>,
  length: number,
  writable: WritableStream,
): Promise<void> {
  const writer = writable.getWriter();
  let last: Uint8Array | undefined;
  let left = length;
  try {
    for await (const bytes of content) {
      left -= bytes.byteLength;
      if (left < 0) throw new S3Error("InvalidRequest", "The body is longer than it says.");
      if (last !== undefined) await writer.write(last);
      last = bytes;
    }
    if (last !== undefined) await writer.write(last);
    await writer.close();
  } catch (error) {
    // It may be the other end that has failed, and says why.
    await writer.abort(error).catch(() => {});
    throw error;
  }
}

interface Announced {
  readonly name: ChecksumName;
  readonly value: string;
}

function announcedIn(headers: Headers): Announced | undefined {
  for (const name of CHECKSUMS) {
    const value = headers.get(`x-amz-checksum-${name}`);
    if (value !== null) return { name, value };
  }
  return undefined;
}

async function* whole(
  reader: PieceReader,
  announced: Announced | undefined,
): AsyncGenerator<Uint8Array> {
  const checksum = announced && checksumOf(announced.name);
  for (let bytes; (bytes = await reader.some(READ_BYTES)).byteLength > 0;) {
    await checksum?.update(bytes);
    yield bytes;
  }
  if (announced && checksum) await compare(announced, checksum);
}

async function compare({ name, value }: Announced, checksum: Checksum): Promise<void> {
  if ((await checksum.digest()) === value) return;
  throw new S3Error(
    "BadDigest",
    `The ${name} you specified did not match the calculated checksum.`,
  );
}

/** Pieces: `<size in hex>[;chunk-signature=<signature>]\r\n<bytes>\r\n`, the last one empty; then trailers. */
async function* pieces(
  reader: PieceReader,
  signer: Signer,
  headers: Headers,
): AsyncGenerator<Uint8Array> {
  const kind = signer.payloadHash;
  const isSigned = kind === SIGNED_PIECES || kind === SIGNED_PIECES_WITH_TRAILER;
  const hasTrailer = kind === SIGNED_PIECES_WITH_TRAILER || kind === UNSIGNED_PIECES_WITH_TRAILER;
  if (!isSigned && !hasTrailer) {
    throw new S3Error("NotImplemented", `x-amz-content-sha256: ${kind} is not supported.`);
  }
  const trailer = hasTrailer ? (headers.get("x-amz-trailer") ?? "").toLowerCase() : "";
  const name = CHECKSUMS.find((known) => trailer === `x-amz-checksum-${known}`);
  if (trailer !== "" && name === undefined) {
    throw new S3Error("NotImplemented", `x-amz-trailer: ${trailer} is not supported.`);
  }
  const checksum = name && checksumOf(name);
  let previous = signer.signature;
  for (;;) {
    const line = await reader.line();
    const [, size = "", given = ""] =
      /^([0-9a-fA-F]{1,12})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line) ?? [];
    if (size === "") throw new S3Error("InvalidRequest", "A piece of the body has no size.");
    let left = Number.parseInt(size, 16);
    const isLast = left === 0;
    const hash = isSigned ? checksumOf("sha256") : undefined;
    while (left > 0) {
      const bytes = await reader.some(Math.min(left, READ_BYTES));
      if (bytes.byteLength === 0) throw ended();
      left -= bytes.byteLength;
      await hash?.update(bytes);
      await checksum?.update(bytes);
      yield bytes;
    }
    if (hash !== undefined) {
      const digest = Uint8Array.fromBase64(await hash.digest()).toHex();
      previous = await signedPiece(signer, "PAYLOAD", previous, [EMPTY_SHA256, digest], given);
    }
    if (!isLast) {
      if ((await reader.line()) !== "") {
        throw new S3Error("InvalidRequest", "A piece of the body is longer than it says.");
      }
      continue;
    }
    if (hasTrailer)
      await checkTrailer(reader, signer, previous, name && checksum && { name, checksum });
    return;
  }
}

async function checkTrailer(
  reader: PieceReader,
  signer: Signer,
  previous: string,
  counted: { readonly name: ChecksumName; readonly checksum: Checksum } | undefined,
): Promise<void> {
  const found = new Map<string, string>();
  for (let line; (line = await reader.line()) !== "";) {
    if (found.size >= MAX_TRAILERS) {
      throw new S3Error("InvalidRequest", `There are more than ${MAX_TRAILERS} trailers.`);
    }
    const at = line.indexOf(":");
    found.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim());
  }
  const signature = found.get("x-amz-trailer-signature");
  found.delete("x-amz-trailer-signature");
  if (signer.payloadHash === SIGNED_PIECES_WITH_TRAILER) {
    const text = [...found].map(([name, value]) => `${name}:${value}\n`).join("");
    await signedPiece(signer, "TRAILER", previous, [await sha256Hex(text)], signature ?? "");
  }
  if (counted === undefined) return;
  const { name, checksum } = counted;
  const value = found.get(`x-amz-checksum-${name}`) ?? "";
  await compare({ name, value }, checksum);
}

const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** Its signature, which the next one signs. */
async function signedPiece(
  { key, at, scope }: Signer,
  what: "PAYLOAD" | "TRAILER",
  previous: string,
  hashes: readonly string[],
  given: string,
): Promise<string> {
  const text = [`AWS4-HMAC-SHA256-${what}`, at, scopeText(scope), previous, ...hashes].join("\n");
  if (await isSignature(key, text, given)) return given;
  throw new S3Error(
    "SignatureDoesNotMatch",
    "The signature of a piece of the body does not match.",
  );
}

/** Reads a body in whatever amounts it comes. */
class PieceReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #rest: Uint8Array = new Uint8Array();

  constructor(body: ReadableStream<Uint8Array> | null) {
    this.#reader = body?.getReader();
  }

  /** At least one byte, unless there is no more. */
  async some(most: number): Promise<Uint8Array> {
    if (this.#rest.byteLength === 0) await this.#fill();
    const bytes = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(bytes.byteLength);
    return bytes;
  }

  /** Without the \r\n at its end. A body that is over ends with empty lines. */
  async line(): Promise<string> {
    for (let from = 0; ;) {
      const end = this.#rest.indexOf(10, from);
      if (end !== -1) {
        const text = new TextDecoder().decode(this.#rest.subarray(0, end));
        this.#rest = this.#rest.subarray(end + 1);
        return text.replace(/\r$/, "");
      }
      from = this.#rest.byteLength;
      if (from > MAX_LINE_BYTES)
        throw new S3Error("InvalidRequest", "A line of the body is too long.");
      if (!(await this.#fill())) {
        if (from > 0) throw ended();
        return "";
      }
    }
  }

  async #fill(): Promise<boolean> {
    const { value } = (await this.#reader?.read()) ?? {};
    if (value === undefined) return false;
    const joined = new Uint8Array(this.#rest.byteLength + value.byteLength);
    joined.set(this.#rest);
    joined.set(value, this.#rest.byteLength);
    this.#rest = joined;
    return true;
  }
}

function ended(): S3Error {
  return new S3Error("IncompleteBody", "The body ended before all of it had come.");
}

function checkedMd5(text: string): string {
  if (decoded(text).byteLength === 16) return text;
  throw new S3Error("InvalidDigest", "The Content-MD5 you specified is not valid.");
}

function hexOf(text: string): string {
  return decoded(text).toHex();
}

function decoded(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    throw new S3Error("InvalidDigest", `'${text}' is not base64.`);
  }
}
