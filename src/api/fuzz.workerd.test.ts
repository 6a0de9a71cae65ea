/**
 * Mutated calls against the real hub: whatever is sent, there is no 5xx, every answer is an envelope, and what is
 * refused has changed nothing. `npm run bench -- fuzz` sends more of them over a socket.
 */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { fuzzCall, type FuzzCall } from "../../bench/fuzz/calls.ts";
import { createRandom } from "../../bench/keep-alive/random.ts";
import { ACCOUNT, bootstrap, call, deploy, helloForm, hub, request } from "../hub/test/api.ts";

const SEED = 20261123;
const CALLS = 400;

/** All that the registry has stored, by table. */
function snapshot(): Promise<ReadonlyMap<string, string>> {
  return runInDurableObject(hub.REGISTRY.getByName("registry"), (_instance, { storage }) => {
    const tables = storage.sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
      .toArray()
      .map(({ name }) => name)
      .filter((name) => !name.startsWith("_cf_") && !MAY_CHANGE.includes(name));
    return new Map(
      tables.map((table) => {
        const rows = storage.sql.exec(`SELECT * FROM "${table}"`).toArray();
        return [table, JSON.stringify(rows)];
      }),
    );
  });
}

/** An attempt that was refused is recorded, too; content of a refused upload stays until the next sweep. */
const MAY_CHANGE = ["audit", "blobs"];

function describeCall({ method, path, headers, body }: FuzzCall): string {
  const text = body && JSON.stringify(new TextDecoder("latin1").decode(body.subarray(0, 1500)));
  return `${method} ${path}\n${JSON.stringify(headers)}\n${text}`;
}

async function send({ method, path, headers, body }: FuzzCall): Promise<Response | null> {
  try {
    const init: RequestInit = { headers: headers.map(([name, value]) => [name, value]) };
    const bodiless = method === "GET" || method === "HEAD";
    if (body !== null && !bodiless) init.body = body;
    // Building a request can fail, as in any client: then nothing was sent.
    new Request(`http://api/client/v4${path}`, { ...init, method });
    return await request(method, path, init);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** What is wrong with a refusal; null: nothing. */
function faultOf(
  { method }: FuzzCall,
  status: number,
  text: string,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): string | null {
  if (status >= 500) return "a fault of ours";
  if (method !== "HEAD") {
    const { success, errors } = JSON.parse(text) as { success: boolean; errors: unknown[] };
    if (success || errors.length === 0) return "no envelope of a refusal";
  }
  const changed = [...after.keys()].filter((table) => after.get(table) !== before.get(table));
  if (changed.length === 0) return null;
  return changed.map((table) => `${table}: ${before.get(table)} -> ${after.get(table)}`).join("\n");
}

it(`withstands ${CALLS} mutated calls (seed ${SEED})`, { timeout: 120_000 }, async () => {
  await bootstrap();
  await deploy("fuzz-a", helloForm("a"));
  const random = createRandom(SEED);
  const counts = { accepted: 0, refused: 0, unsent: 0 };
  const faults: string[] = [];
  let before = await snapshot();
  for (let i = 0; i < CALLS; i++) {
    const fuzzed = fuzzCall(random, ACCOUNT);
    const answer = await send(fuzzed);
    if (answer === null) {
      counts.unsent++;
      continue;
    }
    const text = await answer.text();
    const after = await snapshot();
    counts[answer.ok ? "accepted" : "refused"]++;
    const fault = answer.ok ? null : faultOf(fuzzed, answer.status, text, before, after);
    if (fault)
      faults.push(`call ${i}: ${describeCall(fuzzed)}\n-> ${answer.status} ${text}\n${fault}`);
    before = after;
  }
  expect(faults).toEqual([]);
  // Neither all nor nothing.
  expect(counts.accepted).toBeGreaterThan(CALLS / 20);
  expect(counts.refused).toBeGreaterThan(CALLS / 4);
  expect((await call("GET", "/user/tokens/verify")).success).toBe(true);
});
