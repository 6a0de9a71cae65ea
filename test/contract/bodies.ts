/** Cases: bodies stream, both ways, without being held back and without a byte changed. */
import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { POLL, type Probe } from "./target.ts";

const MEBIBYTE = 1024 * 1024;
const bytes = (text: string) => new TextEncoder().encode(text);

export function describeBodies(probe: () => Probe): void {
  describe("bodies", () => {
    test("the first chunk of a response arrives before the last is made", async () => {
      const response = await probe().send("halting");
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      const decoder = new TextDecoder();
      expect(decoder.decode((await reader.read()).value)).toBe("first,");
      await probe().send("halting", "/release");
      expect(decoder.decode((await reader.read()).value)).toBe("last");
      expect((await reader.read()).done).toBe(true);
    });

    test("the first chunk of a request arrives before the last is sent", async () => {
      const upload = new TransformStream<Uint8Array, Uint8Array>();
      const writer = upload.writable.getWriter();
      const answer = probe().send("counting", "/", { method: "POST", body: upload.readable });
      await writer.write(bytes("first"));
      await vi.waitFor(async () => expect(await probe().json("counting")).toBe(5), POLL);
      await writer.write(bytes("last"));
      await writer.close();
      expect(await (await answer).json()).toBe(9);
    });

    test("an echo answers while its request goes on", async () => {
      const upload = new TransformStream<Uint8Array, Uint8Array>();
      const writer = upload.writable.getWriter();
      const answer = probe().send("echo", "/", { method: "POST", body: upload.readable });
      await writer.write(bytes("ping"));
      const reader = ((await answer).body as ReadableStream<Uint8Array>).getReader();
      expect(new TextDecoder().decode((await reader.read()).value)).toBe("ping");
      await writer.write(bytes("pong"));
      expect(new TextDecoder().decode((await reader.read()).value)).toBe("pong");
      await writer.close();
      expect((await reader.read()).done).toBe(true);
    });

    test("20 MB go up whole", async () => {
      const body = randomBytes(20 * MEBIBYTE);
      const response = await probe().send("digest", "/", { method: "POST", body });
      expect(await response.text()).toBe(sha256(body));
    });

    test("20 MB go up and down whole", async () => {
      const body = randomBytes(20 * MEBIBYTE);
      const response = await probe().send("echo", "/", { method: "POST", body });
      expect(sha256(await response.bytes())).toBe(sha256(body));
    });
  });
}

function sha256(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}
