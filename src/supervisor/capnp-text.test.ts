import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { capnpText, Embed, Word } from "./capnp-text.ts";
import { findWorkerd } from "./workerd-binary.ts";

test("writes lists, groups, enumerants and embedded files", () => {
  const text = capnpText({
    name: "a",
    http: { style: new Word("proxy") },
    list: [1, true, {}],
    file: new Embed("../x.js"),
    left: undefined,
  });
  expect(text).toBe(
    '(name = "a", http = (style = proxy), list = [1, true, ()], file = embed "../x.js")',
  );
});

test("refuses what text cannot hold", () => {
  expect(() => capnpText("a\0b")).toThrow("NUL");
  expect(() => new Word("a)b")).toThrow("not a Cap'n Proto word");
});

test("workerd reads back exactly what was written", () => {
  const hostile = '"); services = [(name = "evil")]; # \\ \\x41 \n\r\t\u0001\u007f ü 🐝';
  const directory = mkdtempSync(join(tmpdir(), "skep-capnp-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const config = capnpText({ services: [{ name: hostile, network: {} }] });
  writeFileSync(
    join(directory, "config.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";\nconst config :Workerd.Config = ${config};\n`,
  );
  const compiled = execFileSync(findWorkerd(), ["compile", "--config-only", "config.capnp"], {
    cwd: directory,
  });
  expect(compiled.includes(Buffer.from(`${hostile}\0`))).toBe(true);
});
