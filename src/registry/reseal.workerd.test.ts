import { runInDurableObject } from "cloudflare:test";
import { beforeAll, expect, it } from "vitest";
import {
  activeBundle,
  adminGate,
  bootstrap,
  call,
  deploy,
  helloForm,
  hub,
  scriptPath,
} from "../hub/test/api.ts";
import { addSecretKey, missingKeys, secretKeys } from "../hub/secret-keys.ts";
import { registryOf } from "./client.ts";
import { createSealer, keyIdOf, keyIds, placeOf } from "./seal.ts";

const registry = hub.REGISTRY.getByName("registry");

beforeAll(async () => {
  await bootstrap();
});

function newKey(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toBase64();
}

async function rotate(key: string): Promise<number> {
  const body = JSON.stringify({ key });
  const response = await adminGate.fetch("http://hub/reseal", { method: "POST", body });
  return (await response.json<{ resealed: number }>()).resealed;
}

async function deployWithSecret(name: string): Promise<void> {
  const bindings = [{ type: "secret_text", name: "KEY", text: `text of ${name}` }];
  expect((await deploy(name, helloForm(name, { bindings }))).errors).toEqual([]);
}

const seen = async (name: string) => (await activeBundle(name)).env["KEY"];

it("several keys: the newest seals, all open, each knows its own", async () => {
  const [first, second] = [newKey(), newKey()];
  const old = await createSealer(first).seal("n/s", "text");
  const both = createSealer(`${second},${first}`);
  expect(await both.open("n/s", old)).toBe("text");
  const fresh = await both.seal("n/s", "text");
  expect([keyIdOf(fresh), keyIdOf(old)]).toEqual(await keyIds(`${second},${first}`));
  // As it was before there were several: nothing says under which key.
  expect(await both.open("n/s", old.slice(9))).toBe("text");
  await expect(createSealer(second).open("n/s", old)).rejects.toThrow("which is not here");
  await expect(both.open("n/other", fresh)).rejects.toThrow("sealed for another script");
});

it(
  "brings secrets of all versions under a new key, in passes, while functions are served",
  { timeout: 30_000 },
  async () => {
    await Promise.all(Array.from({ length: 60 }, () => deployWithSecret("many")));
    await deployWithSecret("one");
    // As an older Skep stored them.
    await runInDurableObject(registry, (_instance, { storage }) => {
      const id = /"sealed":"[0-9a-f]{8}:/;
      for (const row of storage.sql
        .exec<{ id: string; bindings: string }>(`SELECT id, bindings FROM versions LIMIT 3`)
        .toArray()) {
        const bindings = row.bindings.replace(id, `"sealed":"`);
        storage.sql.exec(`UPDATE versions SET bindings = ? WHERE id = ?`, bindings, row.id);
      }
    });
    const key = newKey();
    const rotated = rotate(key);
    const during = await Promise.all(Array.from({ length: 20 }, () => seen("one")));
    expect(new Set(during.map((each) => JSON.stringify(each))).size).toBe(1);
    expect(await rotated).toBeGreaterThan(50);
    expect(await registryOf(hub).neededKeys()).toEqual(await keyIds(key));
    expect(await seen("many")).toEqual({ type: "value", value: "text of many" });
    expect(await rotate(key)).toBe(0);
  },
);

it("does not store what was sealed under a key that was retired meanwhile", async () => {
  const found = await registryOf(hub).namespace("account-1", "production");
  if (!found.ok) throw new Error("there is no namespace");
  const { id } = found.value;
  const stale = await createSealer(secretKeys(hub)).seal(placeOf(id, "one"), "stale");
  await rotate(newKey());
  const answer = await registryOf(hub).release({
    namespaceId: id,
    script: "one",
    versionId: crypto.randomUUID(),
    code: null,
    deploy: true,
    bindings: { mode: "secrets", secrets: { KEY: stale } },
    settings: {},
    scriptSettings: {},
    annotations: {},
    author: "x",
    source: "api",
  });
  expect(answer).toMatchObject({ ok: false, failure: { reason: "changed-meanwhile" } });
  expect(await seen("one")).toEqual({ type: "value", value: "text of one" });
});

it("loses no secret that is written meanwhile", async () => {
  const put = (n: number) =>
    call("PUT", `${scriptPath("one")}/secrets`, {
      name: `S${n}`,
      text: `text ${n}`,
      type: "secret_text",
    });
  const keys = [newKey(), newKey(), newKey()];
  const [answers] = await Promise.all([
    Promise.all(Array.from({ length: 20 }, (_, n) => put(n))),
    Promise.all(keys.map(rotate)),
  ]);
  // A change that lost the race says so, and changed nothing.
  const codes = answers.map(({ errors }) => errors[0]?.code);
  expect(codes.filter((code) => code !== undefined && code !== 10035)).toEqual([]);
  const { env } = await activeBundle("one");
  const stored = answers.flatMap(({ success }, n) => (success ? [n] : []));
  expect(stored.map((n) => env[`S${n}`])).toEqual(
    stored.map((n) => ({ type: "value", value: `text ${n}` })),
  );
  expect(await registryOf(hub).neededKeys()).toHaveLength(1);
});

it("tells at the start that a key is missing", async () => {
  const [needed] = await registryOf(hub).neededKeys();
  expect(await missingKeys(registryOf(hub), hub)).toEqual([]);
  addSecretKey(newKey());
  expect(await missingKeys(registryOf(hub), hub)).toEqual([]);
  expect(needed).toMatch(/^[0-9a-f]{8}$/);
});
