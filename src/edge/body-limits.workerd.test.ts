import { describe, expect, test } from "vitest";
import { ScriptEntry } from "../namespace/script-entry.ts";
import { limitOf } from "../protocol/dispatch-errors.ts";
import { DEFAULT_PLATFORM_LIMITS, type LimitSettings } from "../protocol/limits.ts";
import type { PlaceKind } from "../protocol/placement.ts";
import { boundRequest, boundResponse } from "./body-limits.ts";

const CHUNK = new Uint8Array(300_000);

function entry(limits: LimitSettings, kind: PlaceKind = "edge"): ScriptEntry {
  const state = {
    generation: 1,
    namespace: "prod",
    script: "a",
    versionId: "8c3a1a3e-0000-4000-8000-000000000001",
    place: { kind, why: "", refusedUntilMs: 0 },
    limits: { ...DEFAULT_PLATFORM_LIMITS.defaults, ...limits },
  };
  return new ScriptEntry(state, { underWay: 0 });
}

/** So many chunks without a declared length. */
function stream(chunks: number): ReadableStream<Uint8Array> {
  let left = chunks;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left-- > 0) controller.enqueue(CHUNK.slice());
      else controller.close();
    },
  });
}

const get = new Request("http://a.test/");
const upload = (body: ReadableStream<Uint8Array>, headers: HeadersInit = {}) =>
  new Request("http://a.test/", { method: "POST", body, headers });
const limited = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return limitOf(error);
  }
  return null;
};

describe("requests", () => {
  test("without a body are left as they are", () => {
    expect(boundRequest(entry({ request_body_mb: 1 }), get)).toEqual({ request: get });
  });

  test("that declare no more than they may are left as they are", () => {
    const request = upload(stream(1), { "content-length": "1048576" });
    expect(boundRequest(entry({ request_body_mb: 1 }), request).request).toBe(request);
  });

  test("that declare too much are refused", () => {
    const request = upload(stream(1), { "content-length": "1048577" });
    const refused = limited(() => boundRequest(entry({ request_body_mb: 1 }), request));
    expect(refused).toBe("requestTooLarge");
  });

  test("of undeclared length pass whole", async () => {
    const { request, signal } = boundRequest(entry({ request_body_mb: 1 }), upload(stream(3)));
    expect((await request.arrayBuffer()).byteLength).toBe(900_000);
    expect(signal?.aborted).toBe(false);
  });

  test("that turn out too large never end, and are aborted", async () => {
    const { request, signal } = boundRequest(entry({ request_body_mb: 1 }), upload(stream(9)));
    const read = request.arrayBuffer().then(
      () => "ended",
      () => "failed",
    );
    expect(await Promise.race([read, scheduler.wait(100).then(() => "pending")])).toBe("pending");
    expect(signal?.aborted).toBe(true);
    expect(limitOf(signal?.reason)).toBe("requestTooLarge");
  });
});

describe("responses", () => {
  test("that declare too much are refused, but for those to HEAD", () => {
    const response = () => new Response(stream(1), { headers: { "content-length": "1048577" } });
    const it = entry({ response_body_mb: 1 });
    expect(limited(() => boundResponse(it, get, response()))).toBe("responseTooLarge");
    const head = new Request(get, { method: "HEAD" });
    expect(limited(() => boundResponse(it, head, response()))).toBeNull();
  });

  test("of undeclared length pass whole, with status and headers", async () => {
    const response = new Response(stream(3), { status: 203, headers: { "x-kind": "tea" } });
    const bound = boundResponse(entry({ response_body_mb: 1 }), get, response);
    expect([bound.status, bound.headers.get("x-kind")]).toEqual([203, "tea"]);
    expect((await bound.arrayBuffer()).byteLength).toBe(900_000);
  });

  test("that turn out too large fail", async () => {
    const bound = boundResponse(entry({ response_body_mb: 1 }), get, new Response(stream(9)));
    await expect(bound.arrayBuffer()).rejects.toMatchObject({ limit: "responseTooLarge" });
  });

  test("from an edge are not touched while the limit is the platform's", () => {
    const response = new Response(stream(1));
    expect(boundResponse(entry({}), get, response)).toBe(response);
    expect(boundResponse(entry({}, "probation"), get, response)).not.toBe(response);
  });
});
