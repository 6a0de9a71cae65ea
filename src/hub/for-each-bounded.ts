/**
 * Calls `task` for each item, at most `limit` at a time, and resolves when all are done. The first
 * rejection is thrown on; tasks that are under way then are not waited for.
 */
export async function forEachBounded<Item>(
  items: Iterable<Item>,
  limit: number,
  task: (item: Item) => Promise<void>,
): Promise<void> {
  // One iterator, taken from by all: each item goes to whoever is free next.
  const waiting = Iterator.from(items);
  async function work(): Promise<void> {
    for (let next = waiting.next(); !next.done; next = waiting.next()) await task(next.value);
  }
  await Promise.all(Array.from({ length: limit }, work));
}
