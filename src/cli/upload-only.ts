/**
 * wrangler cannot upload a version of a user Worker without deploying it. This stands between wrangler and the API
 * and passes everything on, except that a deploy of a user Worker becomes an upload of a version.
 */
import { once } from "node:events";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";

const DEPLOY = /\/workers\/dispatch\/namespaces\/[^/]+\/scripts\/[^/]+$/;

export interface UploadedVersion {
  readonly script: string;
  readonly versionId: string;
}

/** `run` gets the base URL that takes the place of `apiUrl`. Returns what was uploaded meanwhile. */
export async function uploadOnly(
  apiUrl: string,
  run: (baseUrl: string) => Promise<void>,
): Promise<UploadedVersion[]> {
  const uploaded: UploadedVersion[] = [];
  const server = createServer((incoming, outgoing) => {
    pass(apiUrl, incoming, outgoing, uploaded).catch((error: unknown) => {
      outgoing.destroy(error instanceof Error ? error : undefined);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
    server.closeAllConnections();
  }
  return uploaded;
}

async function pass(
  apiUrl: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  uploaded: UploadedVersion[],
): Promise<void> {
  const url = new URL(incoming.url ?? "/", apiUrl);
  const script = incoming.method === "PUT" ? DEPLOY.exec(url.pathname)?.[0] : undefined;
  if (script !== undefined) url.pathname += "/versions";
  const method = script === undefined ? incoming.method : "POST";
  const forwarded = request(url, { method, headers: { ...incoming.headers, host: url.host } });
  const [answered] = await Promise.all([
    once(forwarded, "response"),
    pipeline(incoming, forwarded),
  ]);
  const answer = answered[0] as IncomingMessage;
  if (script === undefined || answer.statusCode !== 200) {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    await pipeline(answer, outgoing);
    return;
  }
  const envelope = (await json(answer)) as { result: { id: string } };
  const versionId = envelope.result.id;
  uploaded.push({ script: decodeURIComponent(script.split("/").at(-1) ?? ""), versionId });
  // Where wrangler looks for the version of a deploy.
  const result = { ...envelope.result, deployment_id: versionId };
  outgoing.writeHead(200, { "content-type": "application/json" });
  outgoing.end(JSON.stringify({ ...envelope, result }));
}
