/** D1: a row by its key, and one more row. */
import { randomUUID } from "node:crypto";
import type { Task } from "./main.ts";

const common = {
  miniflare: { d1Databases: { DB: "d1" } },
  async bind(platform) {
    const made = await platform.api("POST", "/d1/database", { name: randomUUID() });
    return [{ type: "d1", name: "DB", id: (made as { uuid: string }).uuid }];
  },
  prepare: `
    await env.DB.prepare("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a TEXT)").run();
    await env.DB.prepare("INSERT OR REPLACE INTO t VALUES (1, 'some value of a few words')").run();`,
} satisfies Partial<Task>;

export const d1Tasks: readonly Task[] = [
  {
    ...common,
    figure: "D1 select of one row",
    once: `if ((await env.DB.prepare("SELECT a FROM t WHERE id = ?").bind(1).first("a")) === null) throw new Error("it is gone");`,
    times: 200,
    atMost: 3,
  },
  {
    ...common,
    figure: "D1 insert",
    once: `await env.DB.prepare("INSERT INTO t (a) VALUES (?)").bind("some value of a few words").run();`,
    times: 100,
  },
];
