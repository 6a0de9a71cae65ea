import { beforeAll, expect, it } from "vitest";
import { bootstrap, request, scriptPath } from "../hub/test/api.ts";

beforeAll(async () => {
  await bootstrap();
});

it.each<[number, Record<string, string>]>([
  [401, { authorization: "Bearer wrong" }],
  [404, {}],
])("a refusal (%i) comes when all that was sent is read", async (status, headers) => {
  let left = 50;
  const body = new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(new Uint8Array(64 * 1024));
      else controller.close();
    },
  });
  const refused = await request("POST", `${scriptPath("absent")}/versions`, { body, headers });
  expect(refused.status).toBe(status);
  expect(left).toBe(-1);
});
