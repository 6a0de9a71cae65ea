/** `GET /client/v4/openapi.json` */
import type { ApiContext } from "../context.ts";
import { openApiDocument } from "./document.ts";

export function getDocument(c: ApiContext): Response {
  return c.json(openApiDocument(c.env.PLATFORM.apiUrl));
}
