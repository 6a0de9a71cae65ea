/**
 * What a dispatcher may rely on of `env.DISPATCHER`, whatever stands behind it: one suite, run against each
 * implementation of ours. The cases assert what Cloudflare documents for Workers for Platforms, seen from
 * outside the dispatcher.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeBodies } from "./bodies.ts";
import { describeErrors } from "./errors.ts";
import { describeIsolates } from "./isolates.ts";
import { describeMessages } from "./messages.ts";
import { describeModules } from "./modules.ts";
import { describeWebSockets } from "./web-sockets.ts";
import { SCRIPTS } from "./scripts.ts";
import { Probe, type SetUp, type Target } from "./target.ts";

/** `name` is the implementation's, for the titles. */
export function describeDispatchNamespace(name: string, setUp: SetUp): void {
  describe(`DispatchNamespace ${name}`, { timeout: 30_000 }, () => {
    let target: Target;
    let probe: Probe;

    beforeAll(async () => {
      target = await setUp(SCRIPTS);
      probe = new Probe(target.url);
    }, 120_000);

    afterAll(() => target.stop());

    test("runs a script", async () => {
      expect(await probe.text("hello")).toBe("hello");
    });

    test("runs a new version from the request after its deploy on", async () => {
      for (const version of ["1", "2", "3"]) {
        await target.deploy(
          "changing",
          `export default { fetch: () => new Response("${version}") }`,
        );
        expect(await probe.text("changing")).toBe(version);
      }
    });

    // The target exists only once the tests run.
    const current = () => probe;
    describeMessages(current);
    describeBodies(current);
    describeWebSockets(current);
    describeErrors(current);
    describeIsolates(current);
    describeModules(current);
  });
}
