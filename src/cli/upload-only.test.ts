import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, it, onTestFinished } from "vitest";
import { uploadOnly } from "./upload-only.ts";

const SCRIPTS = "/client/v4/accounts/a/workers/dispatch/namespaces/production/scripts";

/** Answers as the API does, and remembers what it was asked. */
async function startApi(status = 200) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization} ${body}`);
      response.writeHead(status, { "content-type": "application/json", "x-kept": "yes" });
      response.end(JSON.stringify({ success: true, result: { id: "version-1" } }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const headers = { authorization: "Bearer t" };

it("makes an upload of a deploy, and passes everything else on as it is", async () => {
  const api = await startApi();
  const uploaded = await uploadOnly(api.url, async (base) => {
    const path = `${base}${SCRIPTS}/my%20worker?bindings_inherit=strict`;
    const deployed = await fetch(path, { method: "PUT", body: "the upload", headers });
    expect(await deployed.json()).toEqual({
      success: true,
      result: { id: "version-1", deployment_id: "version-1" },
    });
    const other = await fetch(`${base}${SCRIPTS}/w/secrets`, { method: "PUT", body: "s", headers });
    expect(other.headers.get("x-kept")).toBe("yes");
    expect(await other.json()).toEqual({ success: true, result: { id: "version-1" } });
    await fetch(`${base}${SCRIPTS}/w`, { headers });
  });
  expect(uploaded).toEqual([{ script: "my worker", versionId: "version-1" }]);
  expect(api.seen).toEqual([
    `POST ${SCRIPTS}/my%20worker/versions?bindings_inherit=strict Bearer t the upload`,
    `PUT ${SCRIPTS}/w/secrets Bearer t s`,
    `GET ${SCRIPTS}/w Bearer t `,
  ]);
});

it("passes a refusal on", async () => {
  const api = await startApi(400);
  const uploaded = await uploadOnly(api.url, async (base) => {
    const refused = await fetch(`${base}${SCRIPTS}/w`, { method: "PUT", body: "bad", headers });
    expect(refused.status).toBe(400);
  });
  expect(uploaded).toEqual([]);
});

it("ends when what it was for fails", async () => {
  const api = await startApi();
  let base = "";
  const failed = uploadOnly(api.url, async (url) => {
    base = url;
    throw new Error("wrangler failed");
  });
  await expect(failed).rejects.toThrow("wrangler failed");
  await expect(fetch(base)).rejects.toThrow("fetch failed");
});
