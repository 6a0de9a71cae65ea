/** What people read when the API refuses. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { callApi } from "./api-client.ts";

let answer = { status: 200, body: "" };
const server = createServer((_, response) => {
  response.writeHead(answer.status).end(answer.body);
});

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterAll(() => server.close());

function call(): Promise<unknown> {
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const state = { apiUrl, accountId: "a1" } as Parameters<typeof callApi>[0]["state"];
  return callApi({ state, token: "t" }, "GET", "/workers/scripts/shop/rollout");
}

test("a refusal is told in the API's own words, without the path that was called", async () => {
  const errors = [{ code: 930012, message: "There is no rollout of 'shop'." }];
  answer = { status: 404, body: JSON.stringify({ success: false, errors }) };
  await expect(call()).rejects.toThrow(/^There is no rollout of 'shop'\. \[code: 930012\]$/);
});

test("an answer that is not the API's is told with the address", async () => {
  answer = { status: 502, body: "bad gateway" };
  await expect(call()).rejects.toThrow(
    /^GET http:\S+\/accounts\/a1\/workers\/scripts\/shop\/rollout: 502 bad gateway$/,
  );
});
