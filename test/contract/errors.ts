/** Cases: what a dispatcher catches. `remote` marks what a user Worker threw, and nothing else. */
import { describe, expect, test } from "vitest";
import type { Probe } from "./target.ts";

export function describeErrors(probe: () => Probe): void {
  describe("errors", () => {
    test("a missing script is no matter to get, and rejects at fetch", async () => {
      expect(await probe().text({ script: "nobody", mode: "get" })).toBe("got it");
      const { stage, message, remote, isError } = await probe().thrown("nobody");
      expect({ stage, remote, isError }).toEqual({
        stage: "fetch",
        remote: undefined,
        isError: true,
      });
      expect(message).toMatch(/^Worker not found/);
      expect(message).toContain("nobody");
    });

    test.each([
      ["a name that no script can have", "../no/such?script"],
      ["a long name", "n".repeat(500)],
    ])("%s is missing like any other", async (_, script) => {
      expect((await probe().thrown(script)).message).toMatch(/^Worker not found/);
    });

    test.each([
      ["the empty name", ""],
      ["null", null],
      ["a number", 7],
    ])("%s is refused by get", async (_, script) => {
      const { stage, name, message } = await probe().thrown({ script });
      expect({ stage, name }).toEqual({ stage: "get", name: "TypeError" });
      expect(message).toContain("script name");
    });

    test("what a user Worker throws arrives with its name and message", async () => {
      const thrown = { name: "TypeError", message: "no honey left", remote: true, isError: true };
      expect(await probe().thrown("throws")).toEqual({ stage: "fetch", ...thrown });
    });

    test("so does the rejection of an async handler", async () => {
      const { headers } = await probe().send("throws", "/later");
      expect(headers.get("x-probe-threw")).toBe("fetch");
    });

    test.each(["throws-string", "rejects-object"])(
      "%s arrives as an error all the same",
      async (script) => {
        expect(await probe().thrown(script)).toMatchObject({ stage: "fetch", remote: true });
      },
    );

    test("a user Worker cannot pass for one that is missing", async () => {
      expect(await probe().thrown("forger")).toMatchObject({ stage: "fetch", remote: true });
    });

    test("a Worker without a fetch handler rejects", async () => {
      expect(await probe().thrown("no-handler")).toMatchObject({ stage: "fetch" });
    });

    test("an exception leaves the isolate in service", async () => {
      for (let n = 0; n < 3; n++) expect((await probe().thrown("throws")).remote).toBe(true);
    });

    test("outbound parameters are refused by a namespace without an outbound Worker", async () => {
      const ask = { script: "hello", options: { outbound: { tenant: "acme" } } };
      const { stage, name, message } = await probe().thrown(ask);
      expect({ stage, name }).toEqual({ stage: "get", name: "TypeError" });
      expect(message).toContain("outbound");
    });
  });
}
