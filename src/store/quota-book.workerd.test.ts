/** Quota books and holders that are slow to give back. What limits mean is in src/api/kv/kv.workerd.test.ts. */
import { runInDurableObject } from "cloudflare:test";
import { env as bindings } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { StoreEnv } from "./env.ts";
import type { QuotaBook } from "./quota-book.ts";
import type { Holder, Owner, Released, Usage } from "./quota.ts";

const env = bindings as unknown as StoreEnv;
const MIB = 2 ** 20;
const holder: Holder = { binding: "DATABASES", kind: "d1", name: "importing" };

/** A book, and a database in another process: that it is to give back, and what it says then. */
async function inBook(
  test: (
    book: QuotaBook,
    owner: Owner,
    asked: Promise<void>,
    answer: (released: Released) => void,
  ) => Promise<void>,
): Promise<void> {
  const id = crypto.randomUUID();
  const owner = { id, namespace: "production", limits: { storage_mb: 8 } };
  await runInDurableObject(env.QUOTAS.getByName(id), async (book) => {
    const asked = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<Released>();
    const fetch = async () => {
      asked.resolve();
      return Response.json(await answered.promise);
    };
    Object.assign(book, { env: { ...env, DATABASES: { fetch } } });
    await test(book, owner, asked.promise, answered.resolve);
  });
}

const leaseOf = async (book: QuotaBook, owner: Owner, other: Holder = holder): Promise<Usage> =>
  (await book.extend(other, owner, { bytes: 1 }, ["bytes"])).lease;

describe("a database that gives nothing back before its transaction is over", () => {
  it("gets the room that it asks for meanwhile, and keeps it", async () => {
    await inBook(async (book, owner, asked, answer) => {
      await book.extend(holder, owner, { bytes: MIB }, ["bytes"]);
      const usage = book.usage();
      await asked;
      const extended = await book.extend(holder, owner, { bytes: 3 * MIB }, ["bytes"]);
      expect(extended).toMatchObject({ lease: { bytes: 4 * MIB } });
      expect(extended).not.toHaveProperty("refusal");
      // As it was when it was asked.
      answer({ kept: { bytes: MIB }, usage: { bytes: MIB } });
      expect(await usage).toEqual([{ kind: "d1", id: holder.name, usage: { bytes: MIB } }]);
      expect(await leaseOf(book, owner)).toMatchObject({ bytes: 4 * MIB });
      expect(await book.usage()).toHaveLength(1);
      // Nothing is under way now: what it does not use is not its own any more.
      expect(await leaseOf(book, owner)).toMatchObject({ bytes: MIB + 1 });
    });
  });

  it("does not hold up others for long", async () => {
    await inBook(async (book, owner) => {
      await book.extend(holder, owner, { bytes: 3 * MIB }, ["bytes"]);
      expect(await book.usage()).toEqual([
        { kind: "d1", id: holder.name, usage: { bytes: 4 * MIB } },
      ]);
      const other: Holder = { ...holder, name: "other" };
      expect(await book.extend(other, owner, { bytes: 3 * MIB }, ["bytes"])).toMatchObject({
        lease: { bytes: 4 * MIB },
      });
    });
  });
});
