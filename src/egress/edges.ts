/**
 * Requests for our own functions: they go straight to an edge, without leaving the machine. The edge needs to
 * know through which functions they came, so the header that says it stays on.
 */
import { UnavailableError } from "../protocol/dispatch-errors.ts";

/**
 * Starts at the edge that the host's hash names, and goes on to the next one if that one cannot be reached. A
 * body can be sent once only, so a request that has one is not tried again.
 */
export async function fetchFromEdge(
  edges: readonly Fetcher[],
  request: Request,
): Promise<Response> {
  const { host } = new URL(request.url);
  const first = hash(host) % edges.length;
  for (let step = 0; step < edges.length; step++) {
    const edge = edges[(first + step) % edges.length] as Fetcher;
    try {
      return await edge.fetch(request);
    } catch (error) {
      if (!neverConnected(error)) throw error;
      if (request.bodyUsed) break;
    }
  }
  throw new UnavailableError("no edge can be reached");
}

/**
 * Of an edge whose socket is not there, workerd says `internal error`; of one that died with the request, that
 * the connection was lost.
 */
function neverConnected(error: unknown): boolean {
  return error instanceof Error && /internal error/i.test(error.message);
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  }
  return value >>> 0;
}
