/** Who calls, by address. */
import type { ApiContext } from "./context.ts";

/** workerd gives the peer as `clientIp`, `address:port` with brackets around IPv6. Empty: not known, as in tests. */
export function clientAddress(c: ApiContext): string {
  const { clientIp = "" } = (c.req.raw.cf ?? {}) as { clientIp?: string };
  return clientIp.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}
