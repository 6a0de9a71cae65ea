/** Finds the JSON object of a form (`metadata` or `settings`) in whichever way the client spelled it. */
import { ApiError } from "../errors.ts";
import { parseJson } from "../json-body.ts";
import { revive, unflatten } from "./dialect.ts";

/** undefined: the form has no such object. */
export async function objectInForm(form: FormData, root: string): Promise<unknown> {
  const plain = form.get(root);
  if (plain !== null) {
    return parseJson(typeof plain === "string" ? plain : await plain.text(), `form part "${root}"`);
  }
  const object = unflattenForm(form, root);
  return object === undefined ? undefined : reviveFreeForm(object);
}

function unflattenForm(form: FormData, root: string): unknown {
  const fields = [...form.entries()].filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  try {
    return unflatten(root, fields);
  } catch (error) {
    throw new ApiError("badBody", `Could not parse request body: ${String(error)}`, {
      cause: error,
    });
  }
}

/** Where the schema does not say which leaves are strings, they are taken as JSON. */
function reviveFreeForm(object: unknown): unknown {
  const { bindings, observability, ...rest } = object as Record<string, unknown>;
  return {
    ...rest,
    ...(observability !== undefined && { observability: revive(observability) }),
    ...(bindings !== undefined && {
      bindings: Array.isArray(bindings) ? bindings.map(reviveBinding) : bindings,
    }),
  };
}

function reviveBinding(binding: unknown): unknown {
  if (typeof binding !== "object" || binding === null || !("json" in binding)) return binding;
  return { ...binding, json: revive(binding.json) };
}
