/**
 * Real faults: hub, edges and supervisor are killed with SIGKILL while deploys are under way.
 * What must hold in every round: a deploy that was acknowledged is there after the restart, and no answer
 * is ever a mix of two versions.
 *
 * ROUNDS rounds by default; SKEP_KILL_ROUNDS sets another number.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startPlatform, type Platform } from "./platform.ts";

const ROUNDS = Number(process.env["SKEP_KILL_ROUNDS"] ?? 100);
const VICTIMS = ["hub", "edge", "supervisor"] as const;
const SCRIPT = "survivor";

let platform: Platform;

beforeAll(async () => {
  platform = await startPlatform();
});

afterAll(async () => {
  await platform.stop();
});

/** Two modules and a variable that all name the version: half a version would disagree with itself. */
async function deploy(version: number): Promise<boolean> {
  const form = new FormData();
  const metadata = {
    main_module: "index.js",
    compatibility_date: "2026-11-01",
    bindings: [{ type: "plain_text", name: "VERSION", text: String(version) }],
  };
  form.set("metadata", JSON.stringify(metadata));
  const type = "application/javascript+module";
  form.set(
    "index.js",
    new File(
      [
        `import { side } from "./side.js";
         export default { fetch: (request, env) => new Response(["${version}", side, env.VERSION].join()) };`,
      ],
      "index.js",
      { type },
    ),
  );
  form.set("side.js", new File([`export const side = "${version}";`], "side.js", { type }));
  try {
    const { status } = await platform.api(
      "PUT",
      `/workers/dispatch/namespaces/production/scripts/${SCRIPT}`,
      form,
    );
    return status === 200;
  } catch {
    return false;
  }
}

/** The version that answers; null while nothing does. Fails the test on a mixed one. */
async function served(): Promise<number | null> {
  let text: string;
  try {
    const response = await platform.fetch(SCRIPT, "/");
    if (response.status !== 200) return null;
    text = await response.text();
  } catch {
    return null;
  }
  const parts = text.split(",");
  expect(parts).toHaveLength(3);
  expect(new Set(parts).size, `half a version: ${text}`).toBe(1);
  return Number(parts[0]);
}

async function servedAfterRecovery(): Promise<number> {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    const version = await served();
    if (version !== null) return version;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("nothing answered within 20 s after the kill");
}

test(
  `${ROUNDS} rounds of deploy and kill lose no acknowledged deploy`,
  { timeout: 60_000 + ROUNDS * 5_000 },
  async () => {
    let acknowledged = 0;
    expect(await deploy(0)).toBe(true);
    for (let round = 1; round <= ROUNDS; round++) {
      const victim = VICTIMS[round % VICTIMS.length] ?? "hub";
      const deploying = deploy(round);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
      await platform.kill(victim);
      if (await deploying) acknowledged = round;
      if (victim === "supervisor") await platform.restart();
      const version = await servedAfterRecovery();
      expect(version, `round ${round}, ${victim} killed`).toBeGreaterThanOrEqual(acknowledged);
      expect(version).toBeLessThanOrEqual(round);
      // Stored but not acknowledged: it may serve, and then it stays.
      acknowledged = version;
    }
  },
);
