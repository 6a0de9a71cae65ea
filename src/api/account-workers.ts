/** Workers outside of dispatch namespaces: what only they have. The rest they share with user Workers. */
import { namespaceOf, param, registry, scriptOf, type ApiContext } from "./context.ts";
import { ok, page } from "./envelope.ts";
import { ApiError } from "./errors.ts";
import { scriptToJson } from "./script-json.ts";
import { iso } from "./user.ts";

/** `GET …/workers/scripts` */
export async function listAccountWorkers(c: ApiContext): Promise<Response> {
  const { id } = await namespaceOf(c);
  return page(c, (await registry(c).scripts(id)).map(scriptToJson));
}

/** `GET …/workers/scripts-search?name=&id=&order_by=`: by a part of the name, or by the id. */
export async function searchAccountWorkers(c: ApiContext): Promise<Response> {
  const { name, id, order_by: order = "name" } = c.req.query();
  const keys = { name: "name", created_on: "createdOn", modified_on: "modifiedOn" } as const;
  const key = Object.hasOwn(keys, order) ? keys[order as keyof typeof keys] : null;
  if (!key) {
    const known = Object.keys(keys).join(", ");
    throw new ApiError("invalid", `order_by is '${order}', expected one of ${known}`);
  }
  const namespace = await namespaceOf(c);
  const found = (await registry(c).scripts(namespace.id))
    .filter((script) => name === undefined || script.name.includes(name))
    .filter((script) => id === undefined || script.id === id)
    .toSorted((a, b) => (a[key] < b[key] ? -1 : 1));
  return page(
    c,
    found.map((script) => ({
      id: script.id,
      script_name: script.name,
      service_name: script.name,
      environment_name: "production",
      environment_is_default: true,
      created_on: iso(script.createdOn),
      modified_on: iso(script.modifiedOn),
    })),
  );
}

/** `GET …/workers/scripts/{script}/references`: wrangler asks before it deletes. */
export async function listReferences(c: ApiContext): Promise<Response> {
  const { namespaceId, name } = await scriptOf(c);
  const { services, dispatchers, objects } = await registry(c).users(namespaceId, name);
  return ok(c, {
    services: {
      incoming: services.map((service) => ({ name: service, service, environment: "production" })),
      outgoing: [],
      pages_function: false,
    },
    durable_objects: objects.map(({ script: service, key, className }) => ({
      service,
      environment: "production",
      durable_object_namespace_id: key,
      durable_object_namespace_name: `${name}_${className}`,
    })),
    dispatch_outbounds: dispatchers.map(({ script: service, namespace }) => {
      return { service, namespace, environment: "production" };
    }),
  });
}

/** `GET …/workers/tails/by-consumer/{script}` */
export async function listTailProducers(c: ApiContext): Promise<Response> {
  const { id } = await namespaceOf(c);
  const { tails } = await registry(c).users(id, param(c, "script"));
  return page(
    c,
    tails.map((script) => ({ producer: { script }, consumer: { script: param(c, "script") } })),
  );
}

/** `GET …/workers/account-settings` */
export function getAccountSettings(c: ApiContext): Response {
  return ok(c, { default_usage_model: "standard", green_compute: false });
}
