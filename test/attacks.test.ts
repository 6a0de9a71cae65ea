/**
 * Hostile functions on the real platform, in short: each kind of attack once by a newcomer, beside neighbours
 * on probation and functions in the edges; then by functions that have the edges' trust. The long form, with
 * figures, is `npm run bench -- attack`.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ATTACKERS, attackerForm } from "../bench/attack/attackers.ts";
import { startPlatform, type Platform } from "./platform.ts";

const OK = `export default { fetch: () => new Response("ok") };`;
const NEIGHBOURS = ["neighbour-0", "neighbour-1", "neighbour-2", "neighbour-3"];
const PROVEN = ["proven-0", "proven-1", "proven-2"];
const TRUSTED = "trusted";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
  await platform.api("POST", "/workers/dispatch/namespaces", { name: TRUSTED });
  await platform.api("PUT", `/workers/dispatch/namespaces/${TRUSTED}`, { isolation: "trusted" });
  for (const name of NEIGHBOURS) await platform.deploy(name, OK);
  for (const name of PROVEN) await platform.deploy(name, OK, TRUSTED);
}, 60_000);

afterAll(async () => {
  await platform.stop();
});

interface Placement {
  readonly place: string;
  readonly trust: string;
}

async function placementOf(script: string, namespace = "production"): Promise<Placement> {
  const path = `/workers/dispatch/namespaces/${namespace}/scripts/${script}/placement`;
  const response = await platform.api("GET", path);
  const { result } = (await response.json()) as { result: Placement };
  return result;
}

/** Asks for `hosts` in turn until stopped; resolves with everything that was not an `ok`. */
function watchFunctions(hosts: readonly string[]): () => Promise<string[]> {
  const failures: string[] = [];
  let isWatching = true;
  const watches = hosts.map(async (host) => {
    while (isWatching) {
      try {
        const response = await platform.fetchHost(host, "/");
        const text = await response.text();
        if (response.status !== 200 || text !== "ok") {
          failures.push(`${host}: ${response.status} ${text}`);
        }
      } catch (error) {
        failures.push(`${host}: ${String(error)}`);
      }
      await delay(10);
    }
  });
  return async () => {
    isWatching = false;
    await Promise.all(watches);
    return failures;
  };
}

describe("a newcomer", () => {
  test.each(ATTACKERS)("$name: hurts itself alone", { timeout: 60_000 }, async (attack) => {
    const script = `newcomer-${attack.name.replaceAll(" ", "-")}`;
    await platform.deploy(script, attackerForm(attack));
    const stopWatching = watchFunctions([
      ...NEIGHBOURS.map((name) => `${name}.production.localhost`),
      ...PROVEN.map((name) => `${name}.${TRUSTED}.localhost`),
    ]);
    const statuses: number[] = [];
    const deadline = Date.now() + 40_000;
    // The first attack makes it a suspect at least, the next one convicts it in a cell of its own.
    while ((await placementOf(script)).trust !== "convicted" && Date.now() < deadline) {
      const response = await platform.fetch(script, "/attack");
      statuses.push(response.status);
      await response.body?.cancel();
      await delay(100);
    }
    expect(await stopWatching()).toEqual([]);
    expect(await placementOf(script)).toMatchObject({ place: "dedicated", trust: "convicted" });
    // After its response it is not under way any more, and then two strikes make it a suspect.
    expect(statuses.length).toBeLessThanOrEqual(8);
    for (const name of NEIGHBOURS) expect((await placementOf(name)).trust).not.toBe("convicted");
  });

  test("that was convicted is refused at once, for a while", async () => {
    await (await platform.fetch("newcomer-loop", "/attack")).body?.cancel();
    // The edges hear of the conviction some milliseconds after they heard of the kill.
    await expect
      .poll(() => platform.fetch("newcomer-loop", "/").then(({ status }) => status))
      .toBe(503);
    const response = await platform.fetch("newcomer-loop", "/");
    expect(response.headers.get("x-skep-error")).toBe("1102");
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  });
});

describe("a function of the edges", () => {
  test.each(ATTACKERS.filter(({ name }) => ["loop", "late", "heap at once"].includes(name)))(
    "$name: takes its edge along once",
    { timeout: 60_000 },
    async (attack) => {
      const script = `rogue-${attack.name.replaceAll(" ", "-")}`;
      await platform.deploy(script, attackerForm(attack), TRUSTED);
      expect(await placementOf(script, TRUSTED)).toMatchObject({ place: "edge" });
      const host = `${script}.${TRUSTED}.localhost`;
      await expect
        .poll(() =>
          platform
            .fetchHost(host, "/")
            .then((response) => response.text())
            .catch(String),
        )
        .toBe("ok");
      // Its own request is lost with the edge, or answered by the other edge that had forwarded it.
      await platform.fetchHost(host, "/attack").catch(() => undefined);
      await expect
        .poll(async () => (await placementOf(script, TRUSTED)).place, { timeout: 10_000 })
        .toBe("dedicated");
      for (const name of PROVEN) {
        // The other edge may still hold connections to the one that fell.
        const ask = () => platform.fetchHost(`${name}.${TRUSTED}.localhost`, "/");
        await expect
          .poll(() =>
            ask()
              .then(({ status }) => status)
              .catch(String),
          )
          .toBe(200);
        expect((await placementOf(name, TRUSTED)).trust).not.toBe("convicted");
      }
      const error = async () =>
        (await platform.fetchHost(host, "/attack")).headers.get("x-skep-error");
      await expect.poll(() => error().catch(String)).toBe("1102");
    },
  );
});

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
