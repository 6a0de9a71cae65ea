/** The OpenAPI 3.1 document, made of operations.ts. JSON Schema comes from the schemas that check requests. */
import * as z from "zod";
import { OPERATIONS, type Operation } from "./operations.ts";

/** As Cloudflare's own document calls the parameters of paths; others keep the names that app.ts has. */
const PARAMETERS: Readonly<Record<string, string>> = {
  account: "account_id",
  namespace: "dispatch_namespace",
  script: "script_name",
  secret: "secret_name",
  zone: "zone_id",
  version: "version_id",
  deployment: "deployment_id",
};

export function openApiDocument(apiUrl: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [key, operation] of Object.entries(OPERATIONS)) {
    const [method = "", route = ""] = key.split(" ");
    const names: string[] = [];
    const path = route.replace(/:(\w+)(?:\{[^}]*\})?/g, (_, name: string) => {
      names.push(PARAMETERS[name] ?? name);
      return `{${names.at(-1)}}`;
    });
    (paths[path] ??= {})[method.toLowerCase()] = describe(key, operation, names);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Skep",
      version: "4",
      description:
        "Cloudflare's v4 API as far as Skep serves it. Operations with x-skep are Skep's own.",
    },
    servers: [{ url: new URL(apiUrl).origin }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      responses: { failure: jsonAnswer("Refused", envelope(z.literal(false), { type: "null" })) },
    },
  };
}

function describe(key: string, operation: Operation, names: readonly string[]): object {
  const { does, query = {}, ours } = operation;
  return {
    operationId: key.replace(/[^A-Za-z]+/g, "-"),
    summary: does,
    parameters: [
      ...names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
      ...Object.entries({ ...query, ...(operation.list && PAGE) }).map(([name, description]) => ({
        name,
        in: "query",
        description,
        schema: { type: "string" },
      })),
    ],
    ...requestBody(operation),
    responses: { "200": answerOf(operation), default: { $ref: "#/components/responses/failure" } },
    ...(ours && { "x-skep": true }),
  };
}

const PAGE = { page: "Number of the page, from 1", per_page: "Entries on a page; all by default" };

function requestBody({ body, form }: Operation): object {
  if (body) return { requestBody: { required: true, content: json(toSchema(body, "input")) } };
  if (!form) return {};
  const schema = {
    type: "object",
    properties: { [form.part]: toSchema(form.schema, "input") },
    required: [form.part],
    // The modules, named as `main_module` and imports name them.
    additionalProperties: { type: "string", contentMediaType: "application/octet-stream" },
  };
  const encoding = { [form.part]: { contentType: "application/json" } };
  return {
    requestBody: { required: true, content: { "multipart/form-data": { schema, encoding } } },
  };
}

function answerOf({ result, list, contentType = "application/octet-stream" }: Operation): object {
  if (!result) return { description: "The answer", content: { [contentType]: {} } };
  const one = toSchema(result, "output");
  const schema = list ? { type: "array", items: one } : one;
  return jsonAnswer("Done", envelope(z.literal(true), schema, list));
}

function envelope(success: z.ZodType, result: object, list = false): object {
  const message = {
    type: "object",
    properties: { code: { type: "integer" }, message: { type: "string" } },
    required: ["code", "message"],
  };
  return {
    type: "object",
    properties: {
      success: toSchema(success, "output"),
      errors: { type: "array", items: message },
      messages: { type: "array", items: {} },
      result,
      ...(list && { result_info: { type: "object", additionalProperties: { type: "integer" } } }),
    },
    required: ["success", "errors", "messages", "result"],
  };
}

function jsonAnswer(description: string, schema: object): object {
  return { description, content: json(schema) };
}

function json(schema: object): object {
  return { "application/json": { schema } };
}

function toSchema(schema: z.ZodType, io: "input" | "output"): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  return rest;
}
