/** The sockets that the world connects to: functions over HTTP and HTTPS, and the API. */
import type { PlatformConfig } from "./config.ts";
import type { PublicSockets } from "./launcher.ts";
import { openListeningSockets } from "./listening-sockets.ts";

/** @throws StartError that names the option of a socket that cannot be opened. */
export async function openPublicSockets(config: PlatformConfig): Promise<PublicSockets> {
  const { host, apiHost, port, httpsPort, apiPort, accept, edges } = config;
  const queues = accept === "spread" ? edges : 1;
  const functions = { host, hostOption: "--host", queues };
  const [http, https, api] = await openListeningSockets([
    { ...functions, port, portOption: "--port" },
    { ...functions, port: httpsPort, portOption: "--https-port" },
    {
      host: apiHost,
      hostOption: "--api-host",
      port: apiPort,
      portOption: "--api-port",
      queues: 1,
    },
  ]);
  if (!http || !https || !api) throw new Error("a listening socket is missing");
  return { http, https, api };
}
