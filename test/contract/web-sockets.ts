/** Cases: WebSockets between a client and a user Worker. */
import { describe, expect, test } from "vitest";
import { event, type Probe } from "./target.ts";

export function describeWebSockets(probe: () => Probe): void {
  describe("WebSockets", () => {
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

    // Several, since a server may take each connection another way.
    test.each([4321, 4322, 4323, 4324, 4325, 4326])(
      "the client's close code %i comes back as the end of a clean close",
      async (code) => {
        const socket = await probe().webSocket("socket");
        socket.close(code, "done here");
        const closed = await event<CloseEvent>(socket, "close");
        expect(closed).toMatchObject({ code, reason: "done here", wasClean: true });
      },
    );

    test("the client's close code and reason reach the user Worker", async () => {
      const socket = await probe().webSocket("socket-manual");
      socket.close(4321, "done here");
      const closed = await event<CloseEvent>(socket, "close");
      expect(closed).toMatchObject({ code: 4321, reason: "saw done here", wasClean: true });
    });
  });
}
