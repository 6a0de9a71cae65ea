/** The paths of D1, all of them Cloudflare's but those of files. */
import type { Hono } from "hono";
import type { Api } from "../context.ts";
import * as databases from "./databases.ts";
import * as queries from "./queries.ts";
import * as timeTravel from "./time-travel.ts";
import * as transfers from "./transfers.ts";

/** `account`: the path of one. */
export function routeD1(app: Hono<Api>, account: string): void {
  const all = `${account}/d1/database`;
  const one = `${all}/:database`;
  app.get(all, databases.listDatabases);
  app.post(all, databases.createDatabase);
  app.get(one, databases.getDatabase);
  app.put(one, databases.updateDatabase);
  app.patch(one, databases.updateDatabase);
  app.delete(one, databases.deleteDatabase);
  app.post(`${one}/query`, queries.query);
  app.post(`${one}/raw`, queries.raw);
  app.post(`${one}/import`, transfers.importFile);
  app.post(`${one}/export`, transfers.exportFile);
  app.get(`${one}/time_travel/bookmark`, timeTravel.getBookmark);
  app.post(`${one}/time_travel/restore`, timeTravel.restore);
}

/** Ours: where imports are sent and exports fetched; the URL is the credential. */
export function routeD1Files(app: Hono<Api>): void {
  const file = "/d1-files/:database/:token";
  app.put(file, transfers.uploadFile);
  app.get(file, transfers.downloadFile);
}
