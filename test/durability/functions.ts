/**
 * The functions that write under load and tell what they kept, as sources of one module. Everything goes through their
 * bindings. `POST /<kind>/<writer>-<n>` writes and answers when that is acknowledged to the function;
 * `POST /<kind>/check` tells of each id in its body what is there.
 *
 * Write n of a writer leaves a thing of its own, whose content follows from its id, and n in the writer's register. If
 * n % 4 is 3 it deletes what write n - 2 left.
 */

/** Kinds that one isolate writes by shims, or by native bindings if its script has a class of Durable Objects. */
const WRITER = `
const contentOf = (id) => (id + " ").repeat(id.endsWith("1") ? 9000 : 20);
const registerOf = (id) => "register-" + id.split("-")[0];
const numberOf = (id) => Number(id.split("-")[1]);
const deletedBy = (id) =>
  numberOf(id) % 4 === 3 ? id.split("-")[0] + "-" + (numberOf(id) - 2) : null;

const kinds = {
  kv: {
    async write(id, { KV }) {
      await KV.put(id, contentOf(id), { metadata: { id } });
      await KV.put(registerOf(id), String(numberOf(id)));
      if (deletedBy(id)) await KV.delete(deletedBy(id));
    },
    async read(id, { KV }) {
      const { value, metadata } = await KV.getWithMetadata(id);
      if (id.startsWith("register-")) return Number(value ?? -1);
      if (value === null) return "absent";
      return value === contentOf(id) && metadata.id === id ? "whole" : "wrong";
    },
  },
  d1: {
    async write(id, { DB }) {
      const content = contentOf(id);
      await DB.batch([
        DB.prepare("INSERT OR REPLACE INTO writes VALUES (?, ?)").bind(id, content),
        DB.prepare("INSERT OR REPLACE INTO twins VALUES (?, ?)").bind(id, content.length),
        DB.prepare("INSERT OR REPLACE INTO registers VALUES (?, ?)").bind(registerOf(id), numberOf(id)),
        DB.prepare("DELETE FROM writes WHERE id = ?").bind(deletedBy(id)),
        DB.prepare("DELETE FROM twins WHERE id = ?").bind(deletedBy(id)),
      ]);
    },
    async read(id, { DB }) {
      if (id.startsWith("register-")) {
        return (await DB.prepare("SELECT n FROM registers WHERE name = ?").bind(id).first("n")) ?? -1;
      }
      const [{ results: [row] }, { results: [twin] }] = await DB.batch([
        DB.prepare("SELECT content FROM writes WHERE id = ?").bind(id),
        DB.prepare("SELECT length FROM twins WHERE id = ?").bind(id),
      ]);
      if (!row && !twin) return "absent";
      return row?.content === contentOf(id) && twin?.length === row.content.length ? "whole" : "wrong";
    },
  },
  r2: {
    async write(id, { BUCKET }) {
      const content = contentOf(id);
      await BUCKET.put(id, content, { customMetadata: { id } });
      await BUCKET.put(registerOf(id), String(numberOf(id)));
      if (deletedBy(id)) await BUCKET.delete(deletedBy(id));
    },
    async read(id, { BUCKET }) {
      const object = await BUCKET.get(id);
      if (id.startsWith("register-")) return object ? Number(await object.text()) : -1;
      if (!object) return "absent";
      const isWhole = (await object.text()) === contentOf(id) && object.customMetadata.id === id;
      return isWhole ? "whole" : "wrong";
    },
  },
  queue: {
    write: (id, { QUEUE }) => QUEUE.send({ id, sentAt: Date.now() }),
  },
  object: {
    write: (id, { OBJECTS }) => OBJECTS.getByName(id.split("-")[0]).write(id, contentOf(id), deletedBy(id)),
    read: (id, { OBJECTS }) =>
      OBJECTS.getByName(id.replace(/^(register|waiting)-/, "").split("-")[0]).read(id, contentOf(id)),
  },
};

export default {
  async fetch(request, env) {
    const [kind, id] = new URL(request.url).pathname.slice(1).split("/");
    if (id !== "check") {
      await kinds[kind].write(id, env);
      return new Response("written " + id);
    }
    const found = [];
    for (const id of await request.json()) found.push(await kinds[kind].read(id, env));
    return Response.json(found);
  },
};
`;

const OBJECT = `
import { DurableObject } from "cloudflare:workers";
/** Each write waits for an alarm as well. */
export class Kept extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS writes (id TEXT PRIMARY KEY, content TEXT)");
    this.sql.exec("CREATE TABLE IF NOT EXISTS waiting (id TEXT PRIMARY KEY)");
  }
  async write(id, content, deleted) {
    this.sql.exec("INSERT OR REPLACE INTO writes VALUES (?, ?)", id, content);
    this.sql.exec("INSERT OR REPLACE INTO waiting VALUES (?)", id);
    this.ctx.storage.kv.put("register", Number(id.split("-")[1]));
    if (deleted) this.sql.exec("DELETE FROM writes WHERE id = ?", deleted);
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + Math.random() * 500);
    }
  }
  read(id, content) {
    if (id.startsWith("register-")) return this.ctx.storage.kv.get("register") ?? -1;
    if (id.startsWith("waiting-")) return this.sql.exec("SELECT COUNT(*) AS n FROM waiting").one().n;
    const [row] = this.sql.exec("SELECT content FROM writes WHERE id = ?", id).toArray();
    return row === undefined ? "absent" : row.content === content ? "whole" : "wrong";
  }
  alarm() {
    this.sql.exec("DELETE FROM waiting");
  }
}
`;

/** Writes each delivery of a message into a KV namespace of its own. Of every tenth message the first delivery fails. */
const CONSUMER = `
export default {
  async queue(batch, { DELIVERIES }) {
    for (const message of batch.messages) {
      if (message.attempts === 1 && message.body.id.endsWith("7")) {
        message.retry();
        continue;
      }
      const metadata = { at: Date.now() };
      await DELIVERIES.put(message.body.id + "/" + crypto.randomUUID(), "", { metadata });
      message.ack();
    }
  },
};
`;

export const sources = {
  writer: WRITER,
  objects: OBJECT + WRITER,
  consumer: CONSUMER,
};

export const TABLES = [
  "CREATE TABLE writes (id TEXT PRIMARY KEY, content TEXT)",
  "CREATE TABLE twins (id TEXT PRIMARY KEY, length INTEGER)",
  "CREATE TABLE registers (name TEXT PRIMARY KEY, n INTEGER)",
];
