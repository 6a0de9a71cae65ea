/**
 * A small HTTP API: tasks and their comments, kept in the isolate's memory, so they last as long as this
 * isolate and are not shared between isolates. Shows routing with Hono and validation with zod.
 */
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { newComment, newTask, taskChange, taskQuery } from "./schemas.ts";
import { createTaskStore } from "./task-store.ts";
import { valid } from "./valid.ts";

const ERROR_CODES: Readonly<Record<number, string>> = { 404: "not_found", 507: "full" };

const app = new Hono();
const tasks = createTaskStore();

app.get("/", (c) => c.json({ name: "tasks", routes: app.routes.map(describeRoute) }));
app.get("/health", (c) => c.json({ ok: true }));
app.get("/stats", (c) => c.json(tasks.count()));

app.get("/tasks", valid("query", taskQuery), (c) => c.json(tasks.list(c.req.valid("query"))));
app.post("/tasks", valid("json", newTask), (c) => c.json(tasks.add(c.req.valid("json")), 201));
app.get("/tasks/:id", (c) => c.json(tasks.get(c.req.param("id"))));
app.patch("/tasks/:id", valid("json", taskChange), (c) =>
  c.json(tasks.change(c.req.param("id"), c.req.valid("json"))),
);
app.delete("/tasks/:id", (c) => {
  tasks.remove(c.req.param("id"));
  return c.body(null, 204);
});

app.get("/tasks/:id/comments", (c) => c.json(tasks.get(c.req.param("id")).comments));
app.post("/tasks/:id/comments", valid("json", newComment), (c) =>
  c.json(tasks.comment(c.req.param("id"), c.req.valid("json")), 201),
);

app.notFound((c) =>
  c.json(
    { error: { code: "no_route", message: `There is no ${c.req.method} ${c.req.path}.` } },
    404,
  ),
);

app.onError((error, c) => {
  if (error instanceof HTTPException) {
    const code = ERROR_CODES[error.status] ?? "bad_request";
    return c.json({ error: { code, message: error.message } }, error.status);
  }
  console.error(error);
  return c.json({ error: { code: "internal", message: "Something went wrong here." } }, 500);
});

function describeRoute(route: { method: string; path: string }): string {
  return `${route.method} ${route.path}`;
}

export default app;
