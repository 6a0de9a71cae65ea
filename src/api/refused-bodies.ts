/**
 * Reads what is left of the body of a refused request. A connection on which a body was left unread is closed, and
 * whoever is still sending then sees a broken connection instead of the refusal.
 */
import { createMiddleware } from "hono/factory";
import type { Api } from "./context.ts";

/** Whoever sends more to be refused does not get more. */
const MAX_BYTES = 32 * 1024 * 1024;

export const readRefusedBodies = createMiddleware<Api>(async (c, next) => {
  await next();
  const { body } = c.req.raw;
  if (c.res.status < 400 || body === null || body.locked || c.req.raw.bodyUsed) return;
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += (chunk as Uint8Array).byteLength;
      if (bytes > MAX_BYTES) break;
    }
  } catch {
    // Nobody is there any more to be told anything.
  }
});
