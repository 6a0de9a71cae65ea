/**
 * A response that is written while it is read: one line each `interval` milliseconds, `count` lines.
 * `pull` is called only when the reader wants more, and `cancel` when it has gone, so a client that
 * leaves stops the work.
 */
const MAX_LINES = 10_000;
const MAX_INTERVAL_MS = 10_000;

export default {
  fetch(request): Response {
    const query = new URL(request.url).searchParams;
    const count = readNumber(query.get("count"), 10, MAX_LINES);
    const intervalMs = readNumber(query.get("interval"), 100, MAX_INTERVAL_MS);
    if (count === undefined || intervalMs === undefined) {
      return new Response(
        `count must be a whole number up to ${MAX_LINES}, interval up to ${MAX_INTERVAL_MS} (ms)\n`,
        { status: 400 },
      );
    }
    return new Response(lines(count, intervalMs), {
      headers: { "content-type": "text/plain; charset=utf-8" },
    });
  },
} satisfies ExportedHandler;

function lines(count: number, intervalMs: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let written = 0;
  let timer: number | null = null;
  return new ReadableStream({
    async pull(controller) {
      if (written > 0) {
        await new Promise<void>((resolve) => {
          timer = setTimeout(resolve, intervalMs);
        });
      }
      written++;
      controller.enqueue(encoder.encode(`chunk ${written} of ${count}\n`));
      if (written === count) controller.close();
    },
    cancel(reason) {
      clearTimeout(timer);
      console.log(`the client left after chunk ${written} of ${count}`, String(reason));
    },
  });
}

/** `fallback` for an absent value, undefined for one that is not a whole number from 1 to `max`. */
function readNumber(text: string | null, fallback: number, max: number): number | undefined {
  if (text === null) return fallback;
  const value = Number(text);
  return Number.isInteger(value) && value >= 1 && value <= max ? value : undefined;
}
