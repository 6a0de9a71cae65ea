/**
 * The dispatcher's own few pages, on the base domain. Every other host without a function gets the
 * platform's 404.
 */
import { Hono } from "hono";
import type { DispatcherEnv } from "./env.ts";
import { platformError } from "./errors.ts";

export const platform = new Hono<{ Bindings: DispatcherEnv }>();

platform.use(async (c, next) => {
  const host = new URL(c.req.url).hostname;
  const isOurs = host === c.env.BASE_DOMAIN || host === "127.0.0.1" || host === "[::1]";
  if (!isOurs) return platformError("notFound", c.req.raw);
  await next();
});

platform.get("/", (c) =>
  c.json({
    name: "skep",
    functions: `http://<script>.<namespace>.${c.env.BASE_DOMAIN}`,
  }),
);

platform.get("/healthz", (c) => c.text("ok\n"));

platform.notFound((c) => platformError("notFound", c.req.raw));
