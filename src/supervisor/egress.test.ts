// The real egress Worker in its real configuration, called as an edge calls it: with the whole URL, as a proxy.
import type { Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  askedOf,
  from,
  prepareEgress,
  send,
  startEgress,
  startOrigin,
  stopEgress,
} from "./fixtures/egress-process.ts";
import { socketNames } from "./socket-names.ts";

let originPort: number;
const originUrl = (path: string, host = "127.0.0.1") => `http://${host}:${originPort}${path}`;

beforeAll(async () => {
  await prepareEgress();
  const origin = await startOrigin();
  originPort = (origin.address() as AddressInfo).port;
});
afterAll(stopEgress);

describe("the network", () => {
  let real: string;
  let widened: string;
  beforeAll(async () => {
    [real, widened] = await Promise.all([
      startEgress("real", {}),
      startEgress("widened", { widened: true }),
    ]);
  });

  test.each([
    ["loopback", () => originUrl("/")],
    ["a name of loopback", () => originUrl("/", "localhost")],
    ["a name of loopback with a dot at its end", () => originUrl("/", "localhost.")],
    ["loopback as a number", () => originUrl("/", "2130706433")],
    ["loopback as a hexadecimal number", () => originUrl("/", "0x7f000001")],
    ["loopback with octal bytes", () => originUrl("/", "0177.0.0.01")],
    ["loopback in short", () => originUrl("/", "127.1")],
    ["another loopback address", () => originUrl("/", "127.9.9.9")],
    ["IPv6 loopback", () => originUrl("/", "[::1]")],
    ["IPv6-mapped loopback", () => originUrl("/", "[::ffff:127.0.0.1]")],
    ["IPv6-mapped loopback in hexadecimal", () => originUrl("/", "[::ffff:7f00:1]")],
    ["IPv6-compatible loopback", () => originUrl("/", "[::127.0.0.1]")],
    ["private addresses behind NAT64", () => "http://[64:ff9b::10.0.0.1]/"],
    ["the metadata address behind NAT64", () => "http://[64:ff9b::a9fe:a9fe]/"],
    ["a local NAT64", () => "http://[64:ff9b:1::10.0.0.1]/"],
    ["loopback behind 6to4", () => originUrl("/", "[2002:7f00:1::]")],
    ["private addresses behind Teredo", () => "http://[2001:0:a00:1::]/"],
    ["this host", () => originUrl("/", "0.0.0.0")],
    ["this host in short", () => originUrl("/", "0")],
    ["the unspecified IPv6 address", () => originUrl("/", "[::]")],
    ["private addresses", () => "http://10.0.0.1/"],
    ["private addresses", () => "http://172.16.0.1/"],
    ["private addresses", () => "http://192.168.0.1/"],
    ["carriers' addresses", () => "http://100.64.0.1/"],
    ["the metadata address", () => "http://169.254.169.254/latest/meta-data/"],
    ["the metadata address, IPv6-mapped", () => "http://[::ffff:169.254.169.254]/"],
    ["the metadata address as a number", () => "http://2852039166/"],
    ["the IPv6 metadata address", () => "http://[fd00:ec2::254]/"],
    ["link-local addresses", () => "http://[fe80::1]/"],
    ["multicast addresses", () => "http://224.0.0.1/"],
    ["broadcast", () => "http://255.255.255.255/"],
    ["a name without an address", () => "http://nowhere.invalid/"],
  ])("does not reach %s", async (_, url) => {
    const { status, error, text: sentence } = await send(real, url());
    expect({ status, error }).toEqual({ status: 502, error: "not-reachable" });
    expect(sentence).toContain("has no public address");
  });

  test("makes no tunnels", async () => {
    const socket = connect(widened);
    socket.write(
      `CONNECT 127.0.0.1:${originPort} HTTP/1.1\r\nHost: 127.0.0.1:${originPort}\r\n\r\n`,
    );
    socket.setTimeout(2_000, () => socket.destroy());
    expect(await text(socket)).not.toMatch(/^HTTP\/1.1 2/);
  });

  test("passes requests and answers on unchanged", async () => {
    const headers = { "x-own": "1", authorization: "Bearer x" };
    const asked = askedOf(await send(widened, originUrl("/a?b=%20c"), { headers, body: "ping" }));
    expect(asked).toMatchObject({ method: "POST", url: "/a?b=%20c", body: "ping" });
    expect(asked.headers).toMatchObject(headers);
  });

  test("passes WebSockets on", async () => {
    const socket = connect(widened);
    socket.write(
      [
        `GET ${originUrl("/")} HTTP/1.1`,
        `Host: 127.0.0.1:${originPort}`,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        `Sec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}`,
        "\r\n",
      ].join("\r\n"),
    );
    let received = "";
    for await (const chunk of socket) {
      received += (chunk as Buffer).toString("latin1");
      if (received.endsWith("hello")) break;
    }
    expect(received).toMatch(/^HTTP\/1.1 101 .*hello$/s);
  });

  test("does not tell a destination whose request it is", async () => {
    const { headers } = askedOf(await send(widened, originUrl("/"), from("production")));
    expect(Object.keys(headers).filter((name) => name.startsWith("x-skep"))).toEqual([]);
    expect(JSON.stringify(headers)).not.toContain("production");
  });

  test("asks the host that it checked", async () => {
    const headers = { host: "other.example" };
    const asked = askedOf(await send(widened, originUrl("/"), { headers }));
    expect(asked.headers["host"]).toBe(`127.0.0.1:${originPort}`);
  });

  test("leaves redirects to the function, whose next fetch passes through here again", async () => {
    const { status, location } = await send(widened, originUrl("/redirect"), { method: "GET" });
    expect({ status, location }).toEqual({ status: 302, location: "http://127.0.0.1/" });
    expect(await send(real, location ?? "")).toMatchObject({ error: "not-reachable" });
  });

  test("does not let a destination pass for the egress", async () => {
    expect(askedOf(await send(widened, originUrl("/forged"))).url).toBe("/forged");
  });

  test("tells a failed connection from an address that is not allowed", async () => {
    expect(await send(widened, originUrl("/broken"))).toMatchObject({
      status: 502,
      error: "connection-lost",
    });
  });
});

describe("our own functions", () => {
  let egress: string;
  const edges: Server[] = [];
  beforeAll(async () => {
    for (const index of [0, 1]) edges.push(await startOrigin(socketNames.hairpin(index)));
    egress = await startEgress("hairpin", {
      edges: 2,
      policy: { namespaces: { strict: { allow: ["example.com"] } } },
    });
  });

  test("are asked at an edge, which learns through whom", async () => {
    const url = "https://shop.production.skep.test:8443/a?b=c";
    const asked = askedOf(await send(egress, url, { ...from("production"), body: "ping" }));
    expect(asked).toMatchObject({ method: "POST", url, body: "ping" });
    expect(JSON.parse(asked.headers["x-skep-egress"] ?? "")).toEqual({
      namespace: "production",
      script: "a",
      via: ["production/a"],
    });
  });

  test.each(["http://skep.test/", "http://SKEP.test./", "http://a.skep.test:1/"])(
    "%s does not leave the machine",
    async (url) => {
      expect(askedOf(await send(egress, url)).server).toContain("hairpin");
    },
  );

  test("does not take another host for one of ours", async () => {
    expect(await send(egress, "http://notskep.test/")).toMatchObject({ error: "not-reachable" });
  });

  test("are subject to the policy as well", async () => {
    expect(await send(egress, "http://a.skep.test/", from("strict"))).toMatchObject({
      error: "denied",
    });
  });

  test("are spread over the edges, and asked at another one while an edge is away", async () => {
    const urls = Array.from({ length: 16 }, (_, index) => `http://f${index}.skep.test/`);
    const askAll = async () => {
      const answers = await Promise.all(urls.map((url) => send(egress, url, { method: "GET" })));
      return new Set(answers.map((answer) => askedOf(answer)).map(({ server }) => server));
    };
    expect((await askAll()).size).toBe(2);

    const [first, second] = edges;
    first?.close();
    first?.closeAllConnections();
    expect(await askAll()).toEqual(new Set([socketNames.hairpin(1)]));
    const posts = await Promise.all(urls.map((url) => send(egress, url, { body: "ping" })));
    expect(new Set(posts.map(({ error }) => error))).toEqual(new Set([undefined, "unavailable"]));

    second?.close();
    second?.closeAllConnections();
    expect(await send(egress, urls[0] ?? "", { method: "GET" })).toMatchObject({
      status: 503,
      error: "unavailable",
    });
  });
});
