/** `…/scripts/{script}/secrets`. Each write makes a new version with the code of the newest one. */
import * as z from "zod";
import type { ScriptRecord } from "../registry/records.ts";
import { namespaceOf, param, scriptOf, type ApiContext } from "./context.ts";
import { writeSecrets } from "./deploy.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { jsonBody } from "./json-body.ts";
import { refuseLargeValue } from "./upload/binding.ts";

export const secret = z.object({
  name: z.string().min(1),
  type: z.string(),
  text: z.string().optional(),
});
type Secret = z.output<typeof secret>;

/** A merge patch (RFC 7396), which the SDK sends as plain JSON. Absent secrets are kept. */
export const bulk = z.object({ secrets: z.record(z.string(), secret.nullable()).default({}) });

export async function listSecrets(c: ApiContext): Promise<Response> {
  return page(c, secretsOf(await scriptOf(c)));
}

export async function getSecret(c: ApiContext): Promise<Response> {
  const name = param(c, "secret");
  const found = secretsOf(await scriptOf(c)).find((secret) => secret.name === name);
  if (!found) throw new ApiError("bindingNotFound", `There is no secret named '${name}'.`);
  return ok(c, found);
}

export async function putSecret(c: ApiContext): Promise<Response> {
  const given = await jsonBody(c, secret);
  await writeSecrets(c, await namespaceOf(c), param(c, "script"), { [given.name]: textOf(given) });
  return ok(c, { name: given.name, type: "secret_text" });
}

export async function deleteSecret(c: ApiContext): Promise<Response> {
  const name = param(c, "secret");
  await writeSecrets(c, await namespaceOf(c), param(c, "script"), { [name]: null });
  return ok(c, null);
}

export async function patchSecrets(c: ApiContext): Promise<Response> {
  const { secrets } = await jsonBody(c, bulk);
  const texts = Object.entries(secrets).map(([name, given]) => {
    if (given && given.name !== name) {
      throw new ApiError("badBody", `body.secrets.${name}.name is '${given.name}'`);
    }
    return [name, given && textOf(given)] as const;
  });
  const script =
    texts.length === 0
      ? await scriptOf(c)
      : await writeSecrets(c, await namespaceOf(c), param(c, "script"), Object.fromEntries(texts));
  return ok(c, Object.fromEntries(secretsOf(script).map((found) => [found.name, found])));
}

function textOf({ name, type, text }: Secret): string {
  if (type !== "secret_text") {
    throw new ApiError(
      "invalid",
      `secret ${name} of type ${type} is not supported by this platform; use secret_text.`,
    );
  }
  if (text === undefined) throw new ApiError("badBody", `secret ${name} has no text`);
  refuseLargeValue({ type, name, text });
  return text;
}

function secretsOf({ version }: ScriptRecord) {
  return version.bindings
    .filter(({ type }) => type === "secret_text")
    .map(({ name, type }) => ({ name, type }));
}
