/**
 * Where probes run: a real platform with a victim that has secrets, and on the host everything a probe could
 * find if isolation failed: files and an environment variable of known content, servers on loopback that no
 * function may ever contact.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPlatform, type Platform } from "../platform.ts";
import { uploadForm } from "./probe.ts";

export interface Sentinel {
  readonly what: string;
  readonly value: string;
}

/** What a probe may know in advance: isolation must not rest on secrecy of names and places. */
export interface Targets {
  readonly files: readonly string[];
  /** `host:port` pairs of servers that must never be contacted. */
  readonly tripwirePort: number;
  readonly tripwireSocket: string;
  readonly apiPort: number;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly apiToken: string;
  readonly account: string;
  /** Unix sockets of the platform's own processes. */
  readonly run: string;
}

export interface Stage {
  readonly platform: Platform;
  readonly targets: Targets;
  /** Texts that no answer to a probe may contain. */
  readonly sentinels: readonly Sentinel[];
  readonly victimSecret: string;
  /** Connections that the tripwires have had. */
  readonly contacts: () => number;
  /** Where scripts of this stage are deployed. */
  readonly namespace: string;
  readonly deploy: (script: string, form: FormData) => Promise<void>;
  readonly hostOf: (script: string) => string;
  /** Of the script's resource in the API. */
  readonly pathOf: (script: string) => string;
  /** Fails if the victim of the namespace does not answer as ever. */
  readonly askVictim: () => Promise<VictimAnswer>;
  /** The same platform and victim, in the namespace whose functions run in the edges from the first. */
  readonly inEdges: Stage;
  readonly stop: () => Promise<void>;
}

export interface VictimAnswer {
  readonly secret: string;
  /** Globals and prototypes that are not as the runtime made them. */
  readonly polluted: readonly string[];
}

const ENVIRONMENT_CANARY = "SKEP_PROBE_CANARY";

/** Leaves its secret in every place that could be shared by mistake. */
const VICTIM = `
import { WorkerEntrypoint, env } from "cloudflare:workers";
import fs from "node:fs";
globalThis.victimSecret = env.SECRET;
globalThis[Symbol.for("victim")] = env.SECRET;
process.env.VICTIM_SECRET = env.SECRET;
export const shared = () => env.SECRET;
export class Vault extends WorkerEntrypoint {
  reveal() { return env.SECRET; }
  fetch() { return new Response(env.SECRET); }
}
const natives = [
  [Object.prototype, "toString"], [Array.prototype, "map"], [Array.prototype, Symbol.iterator],
  [Function.prototype, "call"], [Promise.prototype, "then"], [Map.prototype, "get"], [Reflect, "apply"],
  [Headers.prototype, "get"], [Response, "json"], [JSON, "stringify"], [console, "log"], [globalThis, "fetch"],
];
const isNative = (value) => /\\[native code\\]/.test(Function.prototype.toString.call(value));
export default {
  async fetch(request) {
    try { fs.writeFileSync("/tmp/victim.txt", env.SECRET); } catch {}
    try { await caches.default.put("http://victim.example/", new Response(env.SECRET, { headers: { "cache-control": "max-age=60" } })); } catch {}
    try { await (await caches.open("victim")).put("http://victim.example/", new Response(env.SECRET, { headers: { "cache-control": "max-age=60" } })); } catch {}
    const polluted = natives.filter(([owner, key]) => !isNative(owner[key])).map(([, key]) => String(key));
    for (const key in {}) polluted.push(key);
    for (const key of ["polluted", "left"]) if (key in globalThis) polluted.push(key);
    // Anybody may call it; only its own client gets something.
    if (!request.headers.has("cookie")) return new Response("a stranger");
    return Response.json({ secret: env.SECRET, polluted });
  },
};
`;

const VICTIM_SCRIPT = "victim";
const TRUSTED = "trusted";

export async function startStage(): Promise<Stage> {
  const secret = (what: string) => `${what}-${randomBytes(12).toString("hex")}`;
  const directory = await mkdtemp(join(tmpdir(), "skep-probes-"));
  const canaryFile = join(directory, "canary.txt");
  const fileCanary = secret("file");
  await writeFile(canaryFile, fileCanary);
  const environmentCanary = secret("environment");
  // The platform inherits the environment of the test.
  process.env[ENVIRONMENT_CANARY] = environmentCanary;
  const tripwires = await startTripwires(join(directory, "tripwire.sock"));
  const platform = await startPlatform({ args: ["--edges", "2"] });
  delete process.env[ENVIRONMENT_CANARY];

  const victimSecret = secret("victim");
  const cookie = secret("cookie");
  await platform.api("POST", "/workers/dispatch/namespaces", { name: TRUSTED });
  await platform.api("PUT", `/workers/dispatch/namespaces/${TRUSTED}`, { isolation: "trusted" });
  try {
    for (const namespace of ["production", TRUSTED]) {
      const form = uploadForm(VICTIM, {
        flags: ["nodejs_compat"],
        bindings: [{ type: "secret_text", name: "SECRET", text: victimSecret }],
      });
      await platform.deploy(VICTIM_SCRIPT, form, namespace);
    }
  } catch (error) {
    await platform.stop();
    throw error;
  }

  const { data, wranglerEnv: env } = platform;
  const port = (url: string) => Number(new URL(url).port);
  const read = async (path: string) => (await readFile(join(data, path), "utf8")).trim();
  const targets: Targets = {
    files: [
      canaryFile,
      "/etc/passwd",
      "/proc/self/environ",
      "/proc/self/maps",
      "/proc/self/cmdline",
      "/proc/1/environ",
      "/dev/mem",
      ...[
        "token",
        "secret.key",
        "ca/ca-key.pem",
        "ca/edge-key.pem",
        "state",
        "run/processes.json",
      ].map((path) => join(data, path)),
      "workerd.capnp",
      "./edge-0.capnp",
      "../token",
    ],
    tripwirePort: tripwires.port,
    tripwireSocket: tripwires.socket,
    apiPort: port(env.CLOUDFLARE_API_BASE_URL),
    httpPort: port(env.SKEP_URL),
    httpsPort: port(env.SKEP_HTTPS_URL),
    apiToken: env.CLOUDFLARE_API_TOKEN,
    account: env.CLOUDFLARE_ACCOUNT_ID,
    run: join(data, "run"),
  };
  const sentinels: Sentinel[] = [
    { what: "the victim's secret", value: victimSecret },
    { what: "the cookie of the victim's client", value: cookie },
    { what: "a file of the host", value: fileCanary },
    { what: "the environment of the host", value: environmentCanary },
    { what: "/etc/passwd", value: "root:x:0:0" },
    { what: "the body of a server on loopback", value: TRIPWIRE_BODY },
    { what: "the operator's token", value: env.CLOUDFLARE_API_TOKEN },
    { what: "the key of secrets", value: await read("secret.key") },
    { what: "the key of the CA", value: (await read("ca/ca-key.pem")).split("\n")[1] ?? "" },
    { what: "the key of HTTPS", value: (await read("ca/edge-key.pem")).split("\n")[1] ?? "" },
  ];
  const stageIn = (namespace: string): Omit<Stage, "inEdges"> => ({
    platform,
    targets,
    sentinels,
    victimSecret,
    namespace,
    contacts: tripwires.contacts,
    deploy: (script, form) => platform.deploy(script, form, namespace),
    hostOf: (script) => `${script}.${namespace}.localhost`,
    pathOf: (script) => `/workers/dispatch/namespaces/${namespace}/scripts/${script}`,
    async askVictim() {
      const host = `${VICTIM_SCRIPT}.${namespace}.localhost`;
      for (let tries = 1; ; tries++) {
        const response = await platform.fetchHost(host, "/", { headers: { cookie } }).catch(String);
        const text = typeof response === "string" ? response : await response.text();
        if (typeof response !== "string" && response.status === 200) {
          return JSON.parse(text) as VictimAnswer;
        }
        // On a busy machine, processes that answer late are replaced, and requests lost with them.
        if (tries === 3) throw new Error(`the victim answered: ${text}`);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    },
    async stop() {
      await platform.stop();
      tripwires.close();
      await rm(directory, { recursive: true, force: true });
    },
  });
  const inEdges = stageIn(TRUSTED) as Stage;
  return { ...stageIn("production"), inEdges: Object.assign(inEdges, { inEdges }) };
}

const TRIPWIRE_BODY = "tripwire-was-contacted";

/** Servers on every loopback address of the machine, on one port, and on a unix socket. */
async function startTripwires(socket: string) {
  let contacts = 0;
  const serve = () =>
    createServer((connection) => {
      contacts++;
      connection.on("error", () => {});
      connection.end(
        `HTTP/1.1 200 OK\r\ncontent-length: ${TRIPWIRE_BODY.length}\r\nconnection: close\r\n\r\n${TRIPWIRE_BODY}`,
      );
    });
  const servers: Server[] = [];
  // IPv4 and IPv6 at once; machines without IPv6 fall back to IPv4 by themselves.
  const tcp = serve().listen(0);
  await once(tcp, "listening");
  servers.push(tcp);
  const unix = serve().listen(socket);
  await once(unix, "listening");
  servers.push(unix);
  const { port } = tcp.address() as { port: number };
  return {
    port,
    socket,
    contacts: () => contacts,
    close: () => servers.forEach((server) => server.close()),
  };
}
