// Sends every WebSocket message back as it came: text as text, binary as binary.
export default {
  fetch(request): Response {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return new Response("This function speaks WebSocket: connect to this address with ws://\n", {
        status: 426,
        headers: { upgrade: "websocket" },
      });
    }
    const { 0: client, 1: server } = new WebSocketPair();
    // Without this a binary message comes as a Blob, which can only be read later.
    server.binaryType = "arraybuffer";
    server.accept();
    server.addEventListener("message", ({ data }) => server.send(data));
    server.addEventListener("close", ({ code, reason }) => {
      // 1005 says that the peer sent no code; it must not be sent itself.
      server.close(code === 1005 ? 1000 : code, reason);
    });
    return new Response(null, { status: 101, webSocket: client });
  },
} satisfies ExportedHandler;
