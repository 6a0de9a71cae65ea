/** The way of changes to the store, where it does not take all of them. */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { hub } from "../hub/test/api.ts";
import { StoreDelivery } from "./store-delivery.ts";

it("what the store refuses holds up nothing else, and is no failure of who comes later", async () => {
  const object = hub.REGISTRY.get(hub.REGISTRY.newUniqueId());
  await runInDurableObject(object, async (_instance, { storage: { sql } }) => {
    let refused = "bad";
    const told: string[] = [];
    const store = {
      fetch: (url: string) => {
        const id = url.split("/").at(-1) ?? "";
        told.push(id);
        return Promise.resolve(new Response("broken", { status: id === refused ? 500 : 200 }));
      },
    };
    const delivery = new StoreDelivery(sql, store as unknown as Fetcher);
    const change = (id: string) =>
      sql.exec(`INSERT INTO store_changes (kind, id) VALUES ('kv', ?)`, id);
    change("bad");
    change("good");
    expect(await delivery.settle()).toMatchObject({
      ok: false,
      failure: { reason: "store-unreachable", detail: "kv bad: 500 broken" },
    });
    expect(told).toEqual(["bad", "good"]);
    change("late");
    expect((await delivery.settle()).ok).toBe(true);
    expect(told.splice(0)).toEqual(["bad", "good", "late"]);
    expect(delivery.hasPending).toBe(true);
    refused = "";
    expect((await delivery.settle(true)).ok).toBe(true);
    expect(told).toEqual(["bad"]);
    expect(delivery.hasPending).toBe(false);
  });
});
