/** JSON bodies, by route and not by content type: wrangler sends many of them as text/plain. */
import type * as z from "zod";
import type { ApiContext } from "./context.ts";
import type { CodeName } from "./codes.ts";
import { ApiError } from "./errors.ts";
import { readBody } from "./upload/form.ts";

/** Room for all bindings of a script at their largest, with every character escaped. */
export const MAX_JSON_BYTES = 4 * 1024 * 1024;

export async function jsonBody<Schema extends z.ZodType>(
  c: ApiContext,
  schema: Schema,
): Promise<z.output<Schema>> {
  const body = new TextDecoder().decode(await readBody(c.req.raw, MAX_JSON_BYTES));
  return validate(schema, parseJson(body, "the request body"), "body");
}

export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError("badBody", `Could not parse ${what} as JSON: ${String(error)}`, {
      cause: error,
    });
  }
}

/** Errors name the value by its path, such as `metadata.compatibility_flags[0]`. */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  root: string,
  code: CodeName = "badBody",
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = (issue?.path ?? [])
    .map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`))
    .join("");
  throw new ApiError(code, `${root}${path}: ${issue?.message ?? "is not valid"}`);
}
