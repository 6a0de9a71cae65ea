/**
 * What invocations take counts for the quota of their namespace, and comes back when they have ended; how many wait for
 * something. The rest is in test/events.test.ts.
 */
import { runInDurableObject } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import { expect, test } from "vitest";
import {
  DEFAULT_INVOCATION_SETTINGS,
  MAX_PAYLOAD_BYTES,
  type Destination,
  type InvocationDetail,
  type NewInvocation,
} from "../../protocol/invocations.ts";
import type { StoreEnv } from "../env.ts";
import type { ScriptConfig } from "./config.ts";
import { scripts } from "./kind.ts";

const env = bindings as unknown as StoreEnv;
const MIB = 2 ** 20;

/** In a namespace of its own, which may keep a MiB. */
async function make(name: string, isAccounts = false) {
  const id = crypto.randomUUID();
  const config: ScriptConfig = {
    kind: "script",
    id,
    accountId: `account of ${id}`,
    namespaceId: `namespace of ${id}`,
    namespace: "production",
    name,
    settings: {
      crons: [],
      invocations: DEFAULT_INVOCATION_SETTINGS,
      hasObjects: false,
      isAccounts,
    },
    limits: isAccounts ? {} : { storage_mb: 1 },
  };
  await scripts.configure(config, id, env);
  const ask = (path: string, init?: RequestInit) =>
    scripts.administer(new Request(`http://store/script/${id}/${path}`, init), id, env);
  return {
    id,
    config,
    invoke: async (invocation: Partial<NewInvocation>) =>
      ask("invocations", {
        method: "POST",
        body: JSON.stringify({
          type: "Event",
          idempotencyKey: null,
          contentType: null,
          payload: { bytes: "" },
          ...invocation,
        }),
      }),
    async list(state: string) {
      const response = await ask(`invocations?state=${state}&limit=1000`);
      return (await response.json<{ invocations: { id: string }[] }>()).invocations;
    },
    detail: async (of: string) => (await ask(`invocations/${of}`)).json<InvocationDetail>(),
    async usedBytes(owner = `namespace of ${id}`) {
      const usage = await env.QUOTAS.getByName(owner).usage();
      expect(usage).toEqual([
        { kind: "invocations", id, usage: { bytes: expect.any(Number) as number } },
      ]);
      return usage[0]?.usage.bytes ?? 0;
    },
  };
}

const door = (what: "close" | "open", script: string) =>
  (env.EDGE_0 as Fetcher).fetch(`http://edge/${what}/${script}`, { method: "POST" });

test("payloads that wait fill the quota, are refused beyond it, and give it back when they have ended", async () => {
  const script = await make("waits");
  await door("close", "waits");
  const payload = { bytes: btoa("x".repeat(100_000)) };
  let refused: Response | undefined;
  let taken = 0;
  for (; taken < 20; taken++) {
    const response = await script.invoke({ payload, idempotencyKey: `key ${taken}` });
    if (!response.ok) {
      refused = response;
      break;
    }
  }
  expect(taken).toBeGreaterThan(5);
  expect(refused?.status).toBe(507);
  expect(await refused?.text()).toMatch(
    /^the dispatch namespace 'production' may keep 1048576 bytes \(storage_mb=1\), and with this it would keep \d+\. .*: skep limits production storage_mb=\.\.\.$/,
  );
  expect(await script.usedBytes()).toBeGreaterThan(taken * 100_000);
  expect(await script.usedBytes()).toBeLessThanOrEqual(MIB);
  // One that is known is no new one.
  expect((await script.invoke({ payload, idempotencyKey: "key 0" })).status).toBe(200);

  await door("open", "waits");
  await expect.poll(async () => (await script.list("succeeded")).length).toBe(taken);
  expect(await script.usedBytes()).toBeLessThan(taken * 2000);
  expect((await script.invoke({ payload })).status).toBe(200);
});

test("responses that there is no room for make older ones go, and whoever waits gets each", async () => {
  const script = await make("answers-at-length");
  const details: InvocationDetail[] = [];
  for (let index = 0; index < 8; index++) {
    const response = await script.invoke({ type: "RequestResponse" });
    details.push(await response.json<InvocationDetail>());
  }
  for (const { response } of details) expect(atob(response?.body ?? "")).toHaveLength(200_000);
  const kept = await Promise.all(details.map(async ({ id }) => script.detail(id)));
  expect(kept[0]?.response).toBeNull();
  expect(kept.at(-1)?.response?.isTruncated).toBe(false);
  expect(await script.usedBytes()).toBeLessThanOrEqual(MIB);
});

test("a response that there is no room for at all is not kept", async () => {
  const script = await make("answers-at-length");
  const filler = env.KV.getByName(`kv of ${script.id}`);
  await filler.configure({ ...script.config, kind: "kv", id: `kv of ${script.id}`, settings: {} });
  const fill = { method: "PUT", body: new Uint8Array(950_000) };
  expect((await filler.fetch("http://kv/filler?urlencoded=true", fill)).status).toBe(200);
  const waited = await script.invoke({ type: "RequestResponse" });
  const { id, response } = await waited.json<InvocationDetail>();
  expect(atob(response?.body ?? "")).toHaveLength(200_000);
  expect((await script.detail(id)).response).toEqual({
    status: 200,
    headers: [],
    body: "",
    isTruncated: true,
  });
});

test("those of the account's own Workers count for the account", async () => {
  const script = await make("answers-at-length", true);
  await script.invoke({ type: "RequestResponse" });
  expect(await script.usedBytes(`account account of ${script.id}`)).toBeGreaterThan(200_000);
});

test("what nobody can be told of is bounded as what nobody can be called with", async () => {
  const onSuccess: Destination = { type: "function", script: "missing" };
  const { id, config } = await make("ok", true);
  const script = () => env.INVOCATIONS.getByName(id);
  const invocations = { ...DEFAULT_INVOCATION_SETTINGS, onSuccess };
  await script().configure({ ...config, settings: { ...config.settings, invocations } });
  await runInDurableObject(script(), (_instance, { storage }) =>
    storage.sql.exec(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
       INSERT INTO invocations (id, type, state, next_ms, created_ms, ended_ms, destination, destination_state)
       SELECT 'told-' || i, 'Event', 'succeeded', 9e12, 0, 0, ?, 'waiting' FROM n`,
      JSON.stringify(onSuccess),
    ),
  );
  await expect(
    runInDurableObject(script(), async (_instance, state) => {
      await state.storage.sync();
      state.abort("as if the process had ended");
    }),
  ).rejects.toThrow("as if the process had ended");
  const event = {
    type: "Event",
    idempotencyKey: null,
    contentType: null,
    payload: { bytes: "" },
  } as const;
  const last = await script().create(event);
  if ("refused" in last) throw new Error(last.refused);
  const about = async () => (await script().list(["succeeded"], 1, null))[0];
  await expect
    .poll(about)
    .toMatchObject({ id: last.record.id, destination: { state: "waiting", attempts: 1 } });
  expect(await script().create(event)).toMatchObject({
    why: "too many",
    refused: expect.stringMatching(/^100000 invocations of this function wait already/),
  });
});

test("a hundred of the largest are carried at once, and so are their responses", async () => {
  const { id, config } = await make("large", true);
  const script = env.INVOCATIONS.getByName(id);
  await script.configure(config);
  await door("close", "large");
  await runInDurableObject(script, async (_instance, { storage }) => {
    storage.sql.exec(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
       INSERT INTO invocations (id, type, payload, payload_bytes, state, next_ms, created_ms)
       SELECT 'large-' || i, 'Event', zeroblob(?1), ?1, 'waiting', 0, ?2 FROM n`,
      MAX_PAYLOAD_BYTES,
      Date.now(),
    );
    await storage.setAlarm(Date.now());
  });
  const counted = (state: string) =>
    runInDurableObject(script, (_instance, { storage }) =>
      storage.sql.exec(`SELECT count(*) AS n FROM invocations WHERE state = ?`, state).one(),
    );
  await expect.poll(() => counted("running")).toEqual({ n: 100 });
  await door("open", "large");
  await expect.poll(() => counted("succeeded")).toEqual({ n: 100 });
});
