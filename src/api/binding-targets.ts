/** What bindings lead to has to be there when they are uploaded, and within reach of whoever uploads them. */
import type { NamespaceRecord } from "../registry/records.ts";
import { refuseOtherNamespace } from "./auth.ts";
import { accountId, registry, type ApiContext } from "./context.ts";
import { ApiError } from "./errors.ts";
import { unwrap } from "./failures.ts";
import type { ClearBinding } from "./upload/binding.ts";

/** `script` is the one that gets them, which need not exist yet and may be bound to itself. */
export async function refuseBadTargets(
  c: ApiContext,
  namespace: NamespaceRecord,
  script: string,
  bindings: readonly ClearBinding[],
): Promise<void> {
  for (const binding of bindings) {
    if (binding.type === "service") {
      if (binding.service !== script)
        await refuseNoWorker(c, namespace, binding.name, binding.service);
    } else if (binding.type === "dispatch_namespace") {
      await refuseBadDispatcher(c, namespace, binding);
    }
  }
}

async function refuseNoWorker(
  c: ApiContext,
  namespace: NamespaceRecord,
  name: string,
  service: string,
): Promise<void> {
  if ((await registry(c).script(namespace.id, service)).ok) return;
  const where =
    namespace.kind === "account"
      ? "in this account"
      : `in the dispatch namespace '${namespace.name}', and user Workers may be bound to Workers of their own namespace only`;
  throw new ApiError(
    "noBoundWorker",
    `binding ${name} leads to the Worker '${service}', which does not exist ${where}. Deploy '${service}' first.`,
  );
}

async function refuseBadDispatcher(
  c: ApiContext,
  namespace: NamespaceRecord,
  { name, namespace: target, outbound }: Extract<ClearBinding, { type: "dispatch_namespace" }>,
): Promise<void> {
  if (namespace.kind !== "account") {
    throw new ApiError(
      "invalid",
      `binding ${name} of type dispatch_namespace is not for user Workers: it would let one customer call the functions of all others. Deploy the dispatcher as a Worker of the account, without --dispatch-namespace.`,
    );
  }
  refuseOtherNamespace(c, target);
  unwrap(await registry(c).namespace(accountId(c), target));
  if (outbound === undefined) return;
  await refuseNoWorker(c, namespace, name, outbound.service);
}
