import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";
import { readConfig, type StartOptionTexts } from "./config.ts";

let workingDirectory: string;
beforeEach(() => {
  workingDirectory = mkdtempSync(join(tmpdir(), "skep-config-"));
});
afterEach(() => rmSync(workingDirectory, { recursive: true }));

const read = (texts: StartOptionTexts) =>
  readConfig(texts, { workingDirectory, cores: 6, memoryMb: 16_384 });

describe("readConfig", () => {
  test("fills in every default", () => {
    expect(read({})).toEqual({
      data: join(workingDirectory, ".skep"),
      port: 8787,
      httpsPort: 8443,
      apiPort: 8788,
      host: "127.0.0.1",
      apiHost: "127.0.0.1",
      baseDomain: "localhost",
      edges: 6,
      accept: "spread",
      dispatcher: undefined,
      tls: undefined,
      serverTiming: true,
      flushIntervalMs: 250,
      isolation: "shared",
      isolates: 500,
      probation: 2,
      spares: 2,
      cells: 128,
      edgeMemoryMb: 1024,
      limits: DEFAULT_PLATFORM_LIMITS,
      requireSandbox: false,
      egressPolicy: {},
    });
  });

  test("takes paths from the working directory and makes domain names lower-case", () => {
    writeFileSync(join(workingDirectory, "d.js"), "");
    const config = read({ dispatcher: "d.js", "base-domain": "Fn.Example.COM", data: "../x" });
    expect(config.dispatcher).toBe(join(workingDirectory, "d.js"));
    expect(config.baseDomain).toBe("fn.example.com");
    expect(config.data).toBe(join(workingDirectory, "../x"));
  });

  test("lets several ports be any free one", () => {
    const { port, httpsPort, apiPort } = read({ port: "0", "https-port": "0", "api-port": "0" });
    expect([port, httpsPort, apiPort]).toEqual([0, 0, 0]);
  });

  test.each<[StartOptionTexts, string]>([
    [{ port: "65536" }, '--port: expected a port number from 0 to 65535, got "65536"'],
    [{ port: "-1" }, "--port: expected a port number"],
    [{ "https-port": "8e3" }, "--https-port: expected a port number"],
    [{ "api-port": "" }, "--api-port: expected a port number"],
    [{ "api-port": "8787" }, "--api-port: 8787 is the port of --port already"],
    [{ host: "a b" }, "--host: expected an IP address or a host name"],
    [{ data: "" }, "--data: expected the path of a directory"],
    [{ "base-domain": "a..b" }, "--base-domain: expected a domain name"],
    [{ "base-domain": '"); x = ("' }, "--base-domain: expected a domain name"],
    [{ edges: "0" }, "--edges: expected a whole number from 1 to 64"],
    [{ accept: "both" }, '--accept: expected spread or shared, got "both"'],
    [{ dispatcher: "missing.js" }, '--dispatcher: expected a file that exists, got "missing.js"'],
    [{ "server-timing": "yes" }, "--server-timing: expected on or off"],
    [{ "flush-interval-ms": "5" }, "--flush-interval-ms: expected 0, or a whole number"],
    [{ isolation: "none" }, '--isolation: expected shared, trusted or dedicated, got "none"'],
    [{ probation: "0" }, "--probation: expected a whole number from 1 to 16"],
    [{ cells: "0" }, "--cells: expected a whole number from 1 to 1024"],
    [
      { "edge-memory": "4096" },
      "--edge-memory: expected a whole number of megabytes from 256 to 3072",
    ],
    [
      { limits: "cpu_ms" },
      "--limits: expected NAME=VALUE pairs with commas between; names are cpu_ms,",
    ],
    [{ limits: "cpu=50" }, '--limits: there is no limit "cpu"; there are cpu_ms, memory_mb,'],
    [
      { limits: "memory_mb=64,cpu_ms=4" },
      '--limits: cpu_ms: expected a whole number from 5 to 30000 ms, got "4"; --max-limits sets the highest',
    ],
    [
      { limits: "cpu_ms=100", "max-limits": "cpu_ms=80" },
      '--limits: cpu_ms: expected a whole number from 5 to 80 ms, got "100"',
    ],
    [{ "max-limits": "min_warm=-1" }, "--max-limits: min_warm: expected a whole number from 0 to"],
    [{ "max-limits": "constructor=1" }, '--max-limits: there is no limit "constructor"'],
  ])("refuses %j by the name of the option", (texts, message) => {
    expect(() => read(texts)).toThrow(message);
  });

  test("keeps every default limit below its maximum", () => {
    const { limits } = read({ limits: "cpu_ms=60000", "max-limits": "cpu_ms=90000,memory_mb=64" });
    expect(limits.defaults).toEqual({
      ...DEFAULT_PLATFORM_LIMITS.defaults,
      cpu_ms: 60_000,
      memory_mb: 64,
    });
    expect(limits.maxima).toEqual({
      ...DEFAULT_PLATFORM_LIMITS.maxima,
      cpu_ms: 90_000,
      memory_mb: 64,
    });
  });

  test("shares out memory within what a process can use", () => {
    expect(read({ edges: "64" }).edgeMemoryMb).toBe(256);
    expect(read({ edges: "1", probation: "1" }).edgeMemoryMb).toBe(3072);
  });

  test("wants both files of a certificate or none", () => {
    writeFileSync(join(workingDirectory, "it.pem"), "");
    expect(() => read({ "tls-cert": "it.pem" })).toThrow("--tls-cert: needs --tls-key");
    expect(() => read({ "tls-key": "it.pem" })).toThrow("--tls-key: needs --tls-cert");
  });
});
