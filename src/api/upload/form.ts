/**
 * Reads an upload's body into a form. The official SDK labels the multipart body of a script upload
 * `application/javascript`, so the body's own first line decides, not the header.
 */
import { ApiError } from "../errors.ts";

/** Of the raw body. The limit that tenants meet is on the compressed modules (modules.ts). */
export const MAX_UPLOAD_BYTES = 64 * 1024 * 1024;

export async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const body = await readAnyBody(request, maxBytes);
  if (body.byteLength > 0) return body;
  throw new ApiError("badBody", "Could not parse request body: it is empty.");
}

/** Which may be empty. */
export async function readAnyBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const announced = Number(request.headers.get("content-length") ?? 0);
  if (announced > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop cancels the body.
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return body;
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError("bodyTooLarge", `The request body has more than ${maxBytes} bytes.`);
}

/** null: the body is no multipart form. */
export async function parseForm(
  body: Uint8Array,
  contentType: string | null,
): Promise<FormData | null> {
  const boundary = sniffBoundary(body);
  const declared = /^\s*multipart\/form-data/i.test(contentType ?? "");
  if (!boundary && !declared) return null;
  const type = boundary ? `multipart/form-data; boundary="${boundary}"` : (contentType ?? "");
  try {
    return await new Response(body, { headers: { "content-type": type } }).formData();
  } catch (error) {
    throw new ApiError("badBody", `Could not parse request body as a form: ${String(error)}`, {
      cause: error,
    });
  }
}

/** RFC 2046 section 5.1.1: at most 70 of these characters. */
const FIRST_LINE = /^--([0-9A-Za-z'()+_,\-./:=?]{1,70})\r\n/;

/** The boundary that the body's first line names, if its end confirms it. */
export function sniffBoundary(body: Uint8Array): string | null {
  const latin1 = new TextDecoder("latin1");
  const boundary = FIRST_LINE.exec(latin1.decode(body.subarray(0, 80)))?.[1];
  if (!boundary) return null;
  const tail = latin1.decode(body.subarray(-(boundary.length + 10)));
  return tail.trimEnd().endsWith(`--${boundary}--`) ? boundary : null;
}
