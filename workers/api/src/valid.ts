// Middleware that checks a part of the request against a schema and names every field that is wrong.
import type { ValidationTargets } from "hono";
import { validator } from "hono/validator";
import type * as z from "zod";

/** After it, `c.req.valid(target)` has the schema's output type. Answers 400 with all issues. */
export function valid<Target extends keyof ValidationTargets, Schema extends z.ZodType>(
  target: Target,
  schema: Schema,
) {
  return validator(target, (value, c) => {
    const checked = schema.safeParse(value);
    if (checked.success) return checked.data;
    const issues = checked.error.issues.map(({ path, message }) => ({
      field: path.join(".") || target,
      message,
    }));
    const message = `The request's ${target} is not valid: see issues.`;
    return c.json({ error: { code: "invalid", message, issues } }, 400);
  });
}
