/** What the attacks need of a platform under test: deploys of any kind, single requests, where a function is. */
import { request } from "node:http";
import { hostOf, NAMESPACE, type Platform } from "../platform.ts";

export interface Placement {
  readonly place: "edge" | "probation" | "dedicated";
  readonly trust: "probation" | "proven" | "suspect" | "convicted";
  readonly why: string;
}

export interface AttackPlatform {
  readonly port: number;
  deployForm(script: string, source: string | FormData, namespace?: string): Promise<void>;
  remove(script: string, namespace?: string): Promise<void>;
  placement(script: string, namespace?: string): Promise<Placement>;
  /** On a connection of its own. Status 0: the connection was lost. */
  get(script: string, path: string, namespace?: string): Promise<{ ms: number; status: number }>;
}

const GET_TIMEOUT_MS = 30_000;

export function attackPlatform(platform: Platform): AttackPlatform {
  const { port } = platform;
  const path = (script: string, namespace = NAMESPACE) =>
    `/workers/dispatch/namespaces/${namespace}/scripts/${script}`;
  return {
    port,
    async deployForm(script, source, namespace) {
      if (typeof source === "string" && namespace === undefined)
        return platform.deploy(script, source);
      if (typeof source === "string") throw new TypeError("a source goes to the default namespace");
      await platform.api("PUT", path(script, namespace), source);
    },
    async remove(script, namespace) {
      await platform.api("DELETE", path(script, namespace));
    },
    async placement(script, namespace) {
      return (await platform.api("GET", `${path(script, namespace)}/placement`)) as Placement;
    },
    get(script, pathname, namespace) {
      const before = performance.now();
      return new Promise((resolve) => {
        const done = (status: number) => resolve({ ms: performance.now() - before, status });
        const outgoing = request(
          {
            host: "127.0.0.1",
            port,
            path: pathname,
            headers: { host: hostOf(script, namespace) },
            agent: false,
            signal: AbortSignal.timeout(GET_TIMEOUT_MS),
          },
          (incoming) => {
            incoming.resume();
            incoming.on("end", () => done(incoming.statusCode ?? 0));
            incoming.on("error", () => done(0));
          },
        );
        outgoing.on("error", () => done(0));
        outgoing.end();
      });
    },
  };
}
