/** The paths of KV, all of them Cloudflare's. */
import type { Hono } from "hono";
import type { Api } from "../context.ts";
import * as bulk from "./bulk.ts";
import * as namespaces from "./namespaces.ts";
import * as values from "./values.ts";

/** `account`: the path of one. */
export function routeKv(app: Hono<Api>, account: string): void {
  const all = `${account}/storage/kv/namespaces`;
  const one = `${all}/:kv`;
  app.get(all, namespaces.listNamespaces);
  app.post(all, namespaces.createNamespace);
  app.get(one, namespaces.getNamespace);
  app.put(one, namespaces.renameNamespace);
  app.delete(one, namespaces.deleteNamespace);
  app.get(`${one}/keys`, values.listKeys);
  app.get(`${one}/values/:key`, values.getValue);
  app.put(`${one}/values/:key`, values.putValue);
  app.delete(`${one}/values/:key`, values.deleteValue);
  app.get(`${one}/metadata/:key`, values.getMetadata);
  app.put(`${one}/bulk`, bulk.putBulk);
  app.delete(`${one}/bulk`, bulk.deleteBulk);
  app.post(`${one}/bulk/delete`, bulk.deleteBulk);
  app.post(`${one}/bulk/get`, bulk.getBulk);
}
