/** Environments: of the host, of the platform's own processes, of other functions. */
import { hostname } from "node:os";
import { expect } from "vitest";
import { obtained, type Probe } from "./probe.ts";

export const environment: readonly Probe[] = [
  {
    name: "a function's environments hold its own bindings and nothing else",
    upload: {
      flags: ["nodejs_compat"],
      bindings: [{ type: "plain_text", name: "OWN", text: "own" }],
    },
    source: `
      import * as workers from "cloudflare:workers";
      import { attempt } from "./attempt.js";
      const others = (object) => {
        const keys = [];
        for (let o = object; o && o !== Object.prototype; o = Object.getPrototypeOf(o)) keys.push(...Reflect.ownKeys(o).map(String));
        return keys.filter((key) => key !== "OWN" && key !== "constructor").join() || null;
      };
      const GUESSES = ["LOADER", "HUB", "EGRESS", "PEER_0", "CELL_0", "EDGE", "PLATFORM", "REGISTRY", "FUNCTION_METRICS",
        "BLOBS", "TRIAL", "SUPERVISOR", "SECRET_KEY", "SKEP_SECRET_KEY", "DISPATCHER", "METRICS", "SECRET", "SKEP_PROBE_CANARY", "PATH", "HOME"];
      export default { fetch(request, env, ctx) {
        const ways = {
          control: () => env.OWN,
          env: () => others(env),
          "workers.env": () => others(workers.env),
          "process.env": () => others(process.env),
          "withEnv": () => workers.withEnv({}, () => others(workers.env)),
          props: () => Object.keys(ctx.props ?? {}).join() || null,
          argv: () => process.argv.slice(2).join() || null,
        };
        for (const name of GUESSES) {
          ways["env." + name] = () => env[name];
          ways["process.env." + name] = () => process.env[name];
          ways["global " + name] = () => globalThis[name];
          ways["import env " + name] = () => workers.env[name];
        }
        return attempt(ways);
      } };`,
  },
  {
    name: "what node:os and process tell is not about the host",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import { attempt } from "./attempt.js";
      import os from "node:os";
      export default { fetch: () => attempt({
        control: () => os.platform(),
        hostname: () => os.hostname(),
        network: () => Object.keys(os.networkInterfaces()),
        user: () => os.userInfo?.(),
        cwd: () => process.cwd(),
        pid: () => process.pid,
        execPath: () => process.execPath,
        title: () => process.title,
      }) };`,
    check: async (stage, script) => {
      const { control, ...told } = await obtained(stage, script);
      expect(control).toBeDefined();
      expect(told["hostname"] ?? "").not.toBe(hostname());
      expect(told["network"] ?? "[]").toBe("[]");
      expect(JSON.stringify(told)).not.toContain(stage.targets.run);
      expect(["1", "2", undefined]).toContain(told["pid"]);
    },
  },
];
