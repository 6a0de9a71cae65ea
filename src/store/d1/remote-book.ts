/**
 * Quota books (src/store/quota.ts) are in the store, databases in processes of their own: here are the calls from one to the
 * other, each as JSON over a control socket.
 *
 *   POST store /quotas/{owner}/{extend|drop}   the arguments of QuotaBook's method of that name, as a list -> what it returns
 *   POST databases /d1/{id}/quota/release      {epoch} -> Released
 */
import type { StoreEnv } from "../env.ts";
import type { QuotaBook } from "../quota-book.ts";
import type { Released } from "../quota.ts";

type Books = Pick<StoreEnv, "QUOTAS">;

/** For a QuotaLease: what it asks of a book goes to the store. */
export function remoteBooks(store: Fetcher): StoreEnv {
  const call = async (owner: string, method: string, given: readonly unknown[]) => {
    const url = `http://store/quotas/${encodeURIComponent(owner)}/${method}`;
    return answerOf(await store.fetch(url, { method: "POST", body: JSON.stringify(given) }));
  };
  const QUOTAS = {
    getByName: (owner: string) => ({
      extend: (...given: unknown[]) => call(owner, "extend", given),
      drop: (...given: unknown[]) => call(owner, "drop", given),
    }),
  };
  return { QUOTAS } as unknown as StoreEnv;
}

/** Answers such a call, in the store. */
export async function callBook(request: Request, owner: string, env: Books): Promise<Response> {
  const method = new URL(request.url).pathname.split("/").at(-1);
  const book = env.QUOTAS.getByName(decodeURIComponent(owner));
  const given = await request.json<unknown[]>();
  if (method === "extend") {
    return Response.json(await book.extend(...(given as Parameters<QuotaBook["extend"]>)));
  }
  await book.drop(...(given as Parameters<QuotaBook["drop"]>));
  return Response.json(null);
}

/** `releaseQuota` of a database. */
export async function releaseRemote(
  databases: Fetcher,
  id: string,
  epoch: number,
): Promise<Released> {
  const init = { method: "POST", body: JSON.stringify({ epoch }) };
  const response = await databases.fetch(`http://databases/d1/${id}/quota/release`, init);
  return (await answerOf(response)) as Released;
}

async function answerOf(response: Response): Promise<unknown> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  return JSON.parse(text);
}
