import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { examine } from "../supervisor/sandbox/examination.ts";
import { findWorkerd } from "../supervisor/workerd-binary.ts";
import { doctor, report } from "./doctor.ts";

afterEach(() => void vi.unstubAllEnvs());

test("prints a layer a line, and under those that are off why and what helps", () => {
  const text = report([
    { name: "namespaces", purpose: "p", off: { why: "w", remedy: "r" } },
    { name: "ledger", purpose: "q" },
  ]);
  expect(text.split("\n")).toEqual([
    "off  namespaces  p",
    "                 why: w",
    "                 remedy: r",
    "on   ledger      q",
  ]);
});

test.runIf(process.platform === "linux")(
  "finds workerd open to the supervisor, and sandboxed only where there is bubblewrap",
  async () => {
    const offOf = async () =>
      (await examine(findWorkerd())).flatMap(({ name, off }) => (off === undefined ? [] : [name]));
    const seen = ["CPU and I/O clocks", "ledger", "memory limits"];
    expect((await offOf()).filter((name) => seen.includes(name))).toEqual([]);

    const empty = mkdtempSync(join(tmpdir(), "skep-path-"));
    onTestFinished(() => rmSync(empty, { recursive: true }));
    vi.stubEnv("PATH", empty);
    const off = await offOf();
    expect(off).toEqual(expect.arrayContaining(["namespaces", "seccomp"]));
    expect(off.filter((name) => seen.includes(name))).toEqual([]);
  },
);

test("exits with 1 if something is off, else with 0", async () => {
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  onTestFinished(() => write.mockRestore());
  const code = await doctor();
  const printed = String(write.mock.calls[0]?.[0]);
  expect(code).toBe(/^off /m.test(printed) ? 1 : 0);
});
