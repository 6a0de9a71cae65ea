/**
 * What every function may rely on: headers that only the platform sets, whatever the client sent.
 * A request built from its parts has no `cf` object, which untrusted user Workers do not get either.
 * `x-forwarded-proto` is set by the listening socket's configuration.
 */

const RAY_BYTES = 8;

export function admit(request: Request): Request {
  const { method } = request;
  // Each object of the runtime that is touched here (body, headers) costs more than this function's code.
  const body = method === "GET" || method === "HEAD" ? null : request.body;
  const admitted = new Request(request.url, {
    method,
    headers: request.headers,
    body,
    redirect: "manual",
  });
  const { headers } = admitted;
  headers.set("cf-connecting-ip", clientAddress(request));
  headers.set("cf-ray", rayId());
  return admitted;
}

/** workerd gives the peer as `clientIp`, `address:port`; IPv6 addresses are in brackets. */
function clientAddress(request: Request): string {
  const peer = (request.cf as { clientIp?: string } | undefined)?.clientIp ?? "";
  const colon = peer.lastIndexOf(":");
  return (colon < 0 ? peer : peer.slice(0, colon)).replace(/^\[|\]$/g, "");
}

let rays: string[] = [];

/** 16 hexadecimal digits, drawn by the hundred: one call for random bytes costs more than the bytes. */
function rayId(): string {
  let ray = rays.pop();
  if (ray === undefined) {
    const bytes = crypto.getRandomValues(new Uint8Array(100 * RAY_BYTES));
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    rays = Array.from({ length: 100 }, (_, index) =>
      hex.slice(index * 2 * RAY_BYTES, (index + 1) * 2 * RAY_BYTES),
    );
    ray = rays.pop() as string;
  }
  return ray;
}
