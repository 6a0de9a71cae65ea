/** The phases of a cold start as a Server-Timing header, https://www.w3.org/TR/server-timing/. */
import { COLD_PHASES, type ColdStart } from "../protocol/telemetry.ts";

/** A WebSocket handshake passes unchanged: its response cannot be copied. */
export function withServerTiming(response: Response, cold: ColdStart): Response {
  if (response.status === 101) return response;
  const copy = new Response(response.body, response);
  const phases = COLD_PHASES.map((phase) => `${phase};dur=${cold[phase]}`);
  copy.headers.append("server-timing", phases.join(", "));
  return copy;
}
