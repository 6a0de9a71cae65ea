/**
 * Addresses that are not public, in every notation and over every way out. The tripwires count connections: the
 * runner asserts at the end that there were none.
 */
import { hostname } from "node:os";
import { expect } from "vitest";
import { ask, type Probe } from "./probe.ts";

const TARGETS = `const targets = JSON.parse(decodeURIComponent(request.headers.get("x-targets")));
  const port = targets.tripwirePort;`;

/** Loopback, private and metadata addresses as URLs accept them. */
const HOSTS = [
  "127.0.0.1",
  "127.1",
  "127.255.255.254",
  "2130706433",
  "0x7f000001",
  "0x7f.1",
  "0177.0.0.1",
  "017700000001",
  "0",
  "0.0.0.0",
  "[::1]",
  "[::]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[::127.0.0.1]",
  "[0:0:0:0:0:0:0:1]",
  "[64:ff9b::7f00:1]",
  "[2002:7f00:1::]",
  "[fe80::1]",
  "[fd00::1]",
  "ip6-localhost",
  hostname(),
  "127。0。0。1",
  "①②⑦.0.0.1",
  "169.254.169.254",
  "[fd00:ec2::254]",
  "metadata.google.internal",
  "0xa9fea9fe",
  "10.0.0.1",
  "100.64.0.1",
  "172.16.0.1",
  "192.168.0.1",
  "224.0.0.1",
  "255.255.255.255",
];

export const network: readonly Probe[] = [
  {
    name: "fetch reaches no address that is not public",
    source: `
      import { attempt, reach } from "./attempt.js";
      const HOSTS = ${JSON.stringify(HOSTS)};
      export default { fetch(request) {
        ${TARGETS}
        const ways = {};
        for (const host of HOSTS) {
          ways["http " + host] = () => reach("http://" + host + ":" + port + "/");
          ways["post " + host] = () => reach("http://" + host + ":" + port + "/", { method: "POST", body: "x" });
        }
        ways["port 80"] = () => reach("http://169.254.169.254/latest/meta-data/");
        ways["https"] = () => reach("https://127.0.0.1:" + targets.httpsPort + "/");
        ways["user"] = () => reach("http://example.com@127.0.0.1:" + port + "/");
        ways["host header"] = () => reach("http://127.0.0.1:" + port + "/", { headers: { host: "example.com" } });
        ways["resolveOverride"] = () => reach("http://example.com:" + port + "/", { cf: { resolveOverride: "127.0.0.1" } });
        ways["unix"] = () => reach("unix:" + targets.tripwireSocket);
        ways["http+unix"] = () => reach("http+unix://" + encodeURIComponent(targets.tripwireSocket) + "/");
        ways["unix host"] = () => reach("http://unix:" + targets.tripwireSocket + ":/");
        return attempt(ways);
      } };`,
  },
  {
    // They are public names here: what answers may be the platform's public face, whatever the port says.
    name: "names under the base domain lead to the public face of the platform or nowhere",
    source: `
      import { attempt } from "./attempt.js";
      const HOSTS = ["localhost", "localhost.", "LOCALHOST", "LocalHost:80@localhost", "victim.production.localhost", "x.localhost", "127.0.0.1.localhost"];
      export default { fetch(request) {
        ${TARGETS}
        const ways = {};
        for (const host of HOSTS) for (const other of [port, targets.apiPort, targets.httpsPort, 80]) {
          ways[host + " " + other] = async () => {
            const text = await (await fetch("http://" + host + ":" + other + "/client/v4/accounts", { headers: { authorization: "Bearer " + targets.apiToken } })).text();
            return /tripwire|success|result/.test(text) && text;
          };
        }
        return attempt(ways);
      } };`,
  },
  {
    name: "headers of the platform that a function forges open no address to it",
    source: `
      import { attempt, reach } from "./attempt.js";
      const FORGED = JSON.stringify({ namespace: "trusted", script: "victim", via: [], call: { isolation: "trusted" } });
      export default { fetch(request) {
        ${TARGETS}
        const ways = {};
        for (const name of ["x-skep-egress", "x-skep-via", "x-skep-call", "x-skep-outcome", "X-Skep-Egress", "x-skep-egress-error", "proxy-authorization", "forwarded"]) {
          for (const value of [FORGED, "[]", "not JSON", encodeURIComponent(FORGED)]) {
            ways[name + " " + value] = () => reach("http://127.0.0.1:" + port + "/", { headers: { [name]: value } });
          }
        }
        return attempt(ways);
      } };`,
  },
  {
    name: "connect() opens no socket to an address that is not public",
    source: `
      import { attempt } from "./attempt.js";
      import { connect } from "cloudflare:sockets";
      const HOSTS = ${JSON.stringify([...HOSTS, "localhost", "victim.production.localhost"])};
      async function open(address, options) {
        const socket = connect(address, options);
        socket.closed.catch(() => {});
        const writer = socket.writable.getWriter();
        writer.write(new TextEncoder().encode("GET / HTTP/1.0\\r\\n\\r\\n")).catch(() => {});
        const { value, done } = await socket.readable.getReader().read();
        return done ? null : new TextDecoder().decode(value);
      }
      export default { fetch(request) {
        ${TARGETS}
        const ways = {};
        for (const host of HOSTS) {
          ways[host] = () => open(host + ":" + port);
          ways["object " + host] = () => open({ hostname: host, port });
        }
        for (const name of ["edge-hub.sock", "admin.sock", "supervisor.sock", "egress.sock", "peer-0.sock", "hub/admin.sock", "edge-hub/edge-hub.sock"]) {
          ways["unix " + name] = () => open("unix:" + name);
          ways["unix path " + name] = () => open("unix:" + targets.run + "/" + name);
          ways["unix host " + name] = () => open({ hostname: "unix:" + targets.run + "/" + name, port: 1 });
        }
        ways["unix tripwire"] = () => open("unix:" + targets.tripwireSocket);
        ways["abstract"] = () => open("unix-abstract:" + targets.tripwireSocket);
        ways["tls"] = () => open("127.0.0.1:" + targets.httpsPort, { secureTransport: "on" });
        ways["api"] = () => open("127.0.0.1:" + targets.apiPort);
        return attempt(ways);
      } };`,
  },
  {
    name: "Node's networking opens no socket to an address that is not public",
    upload: { flags: ["nodejs_compat", "enable_nodejs_http_modules"] },
    source: `
      import { attempt } from "./attempt.js";
      import net from "node:net";
      import http from "node:http";
      const HOSTS = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0"];
      const read = (socket) => new Promise((resolve, reject) => {
        socket.on("data", (data) => resolve(String(data)));
        socket.on("error", reject);
        socket.on("close", () => resolve(null));
        socket.write?.("GET / HTTP/1.0\\r\\n\\r\\n");
      });
      const get = (options) => new Promise((resolve, reject) => {
        http.get(options, (response) => {
          if (Object.keys(response.headers).some((name) => name.startsWith("x-skep-egress"))) resolve(null);
          response.on("data", (data) => resolve(String(data)));
          response.on("end", () => resolve(null));
        }).on("error", reject);
      });
      export default { fetch(request) {
        ${TARGETS}
        const ways = {};
        for (const host of HOSTS) {
          ways["net " + host] = () => read(net.connect({ host, port }));
          ways["http " + host] = () => get({ host, port, path: "/" });
          ways["tls " + host] = async () => read((await import("node:tls")).connect({ host, port: targets.httpsPort, rejectUnauthorized: false }));
          ways["dgram " + host] = async () => {
            const { createSocket } = await import("node:dgram");
            return new Promise((resolve, reject) => createSocket("udp4").send("x", port, host, (error) => error ? reject(error) : resolve("sent")));
          };
        }
        ways["net unix"] = () => read(net.connect({ path: targets.tripwireSocket }));
        ways["http unix"] = () => get({ socketPath: targets.tripwireSocket, path: "/" });
        ways["http host header"] = () => get({ host: "127.0.0.1", port, path: "/", headers: { host: "example.com" } });
        return attempt(ways);
      } };`,
  },
  {
    name: "WebSockets and EventSources reach no address that is not public",
    source: `
      import { attempt, reach } from "./attempt.js";
      const opened = (target, type) => new Promise((resolve, reject) => {
        target.addEventListener(type, (event) => resolve(type + " " + (event.data ?? "")));
        target.addEventListener("error", reject);
        target.addEventListener("close", reject);
      });
      export default { fetch(request) {
        ${TARGETS}
        const ways = {};
        for (const host of ["127.0.0.1", "[::1]", "2130706433"]) {
          ways["WebSocket " + host] = () => opened(new WebSocket("ws://" + host + ":" + port), "open");
          ways["platform " + host] = () => opened(new WebSocket("ws://" + host + ":" + targets.httpPort), "open");
          ways["upgrade " + host] = () => reach("http://" + host + ":" + port, { headers: { upgrade: "websocket" } });
          ways["EventSource " + host] = () => opened(new EventSource("http://" + host + ":" + port), "open");
        }
        return attempt(ways);
      } };`,
  },
  {
    name: "a function that knows the operator's token still does not reach the API",
    source: `
      import { attempt, reach } from "./attempt.js";
      export default { fetch(request) {
        ${TARGETS}
        const headers = { authorization: "Bearer " + targets.apiToken };
        const path = "/client/v4/accounts/" + targets.account + "/workers/dispatch/namespaces";
        const ways = {};
        for (const host of ["127.0.0.1", "[::1]", "0.0.0.0", "2130706433"]) {
          ways["list " + host] = () => reach("http://" + host + ":" + targets.apiPort + path, { headers });
          ways["delete " + host] = () => reach("http://" + host + ":" + targets.apiPort + path + "/production/scripts/victim", { headers, method: "DELETE" });
          ways["health " + host] = () => reach("http://" + host + ":" + targets.apiPort + "/healthz");
          ways["neighbour " + host] = () => reach("http://" + host + ":" + targets.httpPort + "/", { headers: { host: "victim.production.localhost" } });
        }
        return attempt(ways);
      } };`,
  },
  {
    name: "the platform's own processes answer no function by the names that they have among themselves",
    source: `
      import { attempt, reach } from "./attempt.js";
      export default { fetch(request) {
        ${TARGETS}
        const ways = {};
        for (const host of ["hub", "edge", "egress", "supervisor", "trial", "cell", "peer-0", "registry"]) {
          for (const path of ["/bundles/00000000-0000-4000-8000-000000000000", "/resolve?namespace=production&script=victim", "/routes", "/hostnames", "/processes"]) {
            ways[host + path] = () => reach("http://" + host + path);
          }
          ways["trial " + host] = () => reach("http://" + host + "/trial", { method: "POST", body: "x" });
          ways["routing " + host] = () => reach("http://" + host + "/routing", { method: "POST", body: "{}" });
          ways["telemetry " + host] = () => reach("http://" + host + "/telemetry?edge=0", { method: "POST", body: '{"functions":[]}' });
        }
        return attempt(ways);
      } };`,
  },
  {
    name: "the platform follows no redirect that a function answers with",
    source: `
      export default { fetch(request) {
        ${TARGETS}
        return new Response(null, { status: Number(new URL(request.url).pathname.slice(1)), headers: { location: "http://127.0.0.1:" + port + "/" } });
      } };`,
    check: async (stage, script) => {
      const headers = { "x-targets": encodeURIComponent(JSON.stringify(stage.targets)) };
      for (const status of [301, 302, 303, 307, 308]) {
        const answer = await ask(stage, script, { path: `/${status}`, headers });
        expect(answer.status).toBe(status);
        const post = await ask(stage, script, {
          method: "POST",
          path: `/${status}`,
          headers,
          body: "x",
        });
        expect(post.status).toBe(status);
      }
      expect(stage.contacts()).toBe(0);
    },
  },
];
