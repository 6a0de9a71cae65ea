/** A process with a client for each of the tails whose URLs it is given; says when all are there, and counts lines. */
const counts: number[] = [];

await Promise.all(
  process.argv.slice(2).map(
    (url, index) =>
      new Promise((resolve, reject) => {
        counts[index] = 0;
        const socket = new WebSocket(url, "trace-v1");
        socket.addEventListener("open", resolve);
        socket.addEventListener("error", reject);
        socket.addEventListener("message", ({ data }) => {
          const { logs } = JSON.parse(String(data)) as { logs: unknown[] };
          counts[index] = (counts[index] ?? 0) + logs.length;
        });
      }),
  ),
);
process.send?.("ready");
process.once("message", () => process.send?.(counts));
process.once("disconnect", () => process.exit());

export {};
