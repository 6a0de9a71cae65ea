import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { getRequest } from "./connection.ts";
import { load } from "./load.ts";

test("keeps every connection busy, draws the requests in turn and counts what is not a 200", async () => {
  const hosts = new Map<string | undefined, number>();
  let atOnce = 0;
  let mostAtOnce = 0;
  const server = createServer((request, response) => {
    hosts.set(request.headers.host, (hosts.get(request.headers.host) ?? 0) + 1);
    mostAtOnce = Math.max(mostAtOnce, ++atOnce);
    setTimeout(() => {
      atOnce--;
      response.writeHead(request.headers.host === "bad" ? 500 : 200).end("x");
    }, 5);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());

  const { port } = server.address() as AddressInfo;
  const requests = [getRequest("good"), getRequest("bad")];
  const result = await load({ port, requests, connections: 4, seconds: 0.3 });

  expect(mostAtOnce).toBe(4);
  expect(result.latencies).toHaveLength(4);
  expect(result.latencies.flat()).toHaveLength(result.requests);
  expect((hosts.get("good") ?? 0) + (hosts.get("bad") ?? 0)).toBe(result.requests);
  expect(result.failures).toBe(hosts.get("bad"));
  expect(Math.min(...result.latencies.flat())).toBeGreaterThan(4);
  expect(result.longestStallMs).toBeGreaterThan(4);
});
