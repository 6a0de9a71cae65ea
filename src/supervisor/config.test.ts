import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readConfig, type StartOptionTexts } from "./config.ts";

let workingDirectory: string;
beforeEach(() => {
  workingDirectory = mkdtempSync(join(tmpdir(), "skep-config-"));
});
afterEach(() => rmSync(workingDirectory, { recursive: true }));

const read = (texts: StartOptionTexts) => readConfig(texts, { workingDirectory, cores: 6 });

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
  ])("refuses %j by the name of the option", (texts, message) => {
    expect(() => read(texts)).toThrow(message);
  });

  test("wants both files of a certificate or none", () => {
    writeFileSync(join(workingDirectory, "it.pem"), "");
    expect(() => read({ "tls-cert": "it.pem" })).toThrow("--tls-cert: needs --tls-key");
    expect(() => read({ "tls-key": "it.pem" })).toThrow("--tls-key: needs --tls-cert");
  });
});
