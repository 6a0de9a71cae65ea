/** Cases: WebSockets between a client and a user Worker. */
import { expect, test, vi } from "vitest";
import { event, type Probe } from "./target.ts";

export function casesOfWebSockets(probe: () => Probe): void {
  test("text and binary messages go both ways", async () => {
    const socket = await probe().webSocket("socket");
    socket.binaryType = "arraybuffer";
    socket.send("grüß Gott");
    expect((await event<MessageEvent>(socket, "message")).data).toBe("grüß Gott");
    const large = new Uint8Array(500_000).fill(7);
    socket.send(large);
    const { data } = await event<MessageEvent>(socket, "message");
    expect(Buffer.from(data as ArrayBuffer).equals(large)).toBe(true);
    socket.close();
    await event(socket, "close");
  });

  test("the user Worker's close code and reason reach the client", async () => {
    const socket = await probe().webSocket("socket");
    socket.send("close");
    const closed = await event<CloseEvent>(socket, "close");
    expect(closed).toMatchObject({ code: 4001, reason: "as you wish", wasClean: true });
  });

  test("the client's close code and reason reach the user Worker", async () => {
    const socket = await probe().webSocket("socket");
    socket.close(4321, "done here");
    expect(await event<CloseEvent>(socket, "close")).toMatchObject({ code: 4321 });
    await vi.waitFor(async () => {
      const closed = await probe().json("socket");
      expect(closed).toEqual({ code: 4321, reason: "done here", wasClean: true });
    }, 10_000);
  });
}
