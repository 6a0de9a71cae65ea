/**
 * The function that everything is measured with: 1 KB of source that answers with a short text, once for
 * workerd and once as the barest Node server, which does less (no Request or Response object).
 */
import { Buffer } from "node:buffer";

const SOURCE_BYTES = 1024;

/** An ES module for workerd, exactly 1 KB long. */
export function functionSource(text = "hello"): string {
  const code = `export default {
  fetch(request) {
    return new Response(${JSON.stringify(text)}, { headers: { "content-type": "text/plain" } });
  },
};
`;
  return code + comment(SOURCE_BYTES - Buffer.byteLength(code));
}

/** Listens on a free port and writes its number to file descriptor 3. */
export const NODE_SERVER_SOURCE = `import { createServer } from "node:http";
import { writeSync } from "node:fs";
const server = createServer((request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end("hello");
});
server.listen(0, "127.0.0.1", () => writeSync(3, JSON.stringify({ port: server.address().port }) + "\\n"));
`;

function comment(bytes: number): string {
  return `//${"x".repeat(Math.max(0, bytes - 3))}\n`;
}
