/** The registry's expected failures as HTTP errors: the one switch. */
import type { StoreKind } from "../protocol/store.ts";
import type { Outcome, RegistryFailure } from "../registry/failures.ts";
import type { CodeName } from "./codes.ts";
import { ApiError } from "./errors.ts";

export const RESOURCE_WORDS = {
  kv: "KV namespace",
  r2: "R2 bucket",
  d1: "D1 database",
  queue: "queue",
} as const satisfies Record<StoreKind, string>;

/** Where wrangler knows a number of its own. */
const TAKEN: Readonly<Partial<Record<StoreKind, CodeName>>> = {
  kv: "kvTitleExists",
  d1: "d1Exists",
  r2: "bucketExists",
};

/** The value of an outcome; throws the error of a failure. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw toApiError(outcome.failure);
}

function toApiError(failure: RegistryFailure): ApiError {
  switch (failure.reason) {
    case "unknown-token":
      return new ApiError(
        "invalidToken",
        "Invalid access token: it is wrong or was revoked, see 'skep token list'.",
      );
    case "expired-token":
      return new ApiError(
        "invalidToken",
        `Invalid access token: it expired on ${new Date(failure.expiredOn).toISOString()}`,
      );
    case "no-such-token":
      return new ApiError("tokenNotFound", `There is no token with the id '${failure.id}'.`);
    case "operators-token":
      return new ApiError(
        "badToken",
        "The token named 'operator' is the platform's own. To replace it, stop the platform, delete the file 'token' in its data directory, and start it.",
      );
    case "too-many-tokens":
      return new ApiError(
        "badToken",
        `An account may have ${failure.max} tokens: delete one that is not used any more.`,
      );
    case "unknown-namespace":
      return new ApiError(
        "namespaceNotFound",
        `There is no dispatch namespace named '${failure.namespace}'. Create it with: wrangler dispatch-namespace create ${failure.namespace}`,
      );
    case "namespace-exists":
      return new ApiError(
        "namespaceExists",
        `There already is a dispatch namespace named '${failure.namespace}'. Names are unique on the platform: choose another one.`,
      );
    case "outbound-chained":
      return new ApiError(
        "invalid",
        `The outbound Worker cannot be in the dispatch namespace '${failure.namespace}', which has an outbound Worker itself: deploy it in one that has none.`,
      );
    case "outbound-in-use":
      return new ApiError(
        "invalid",
        `The dispatch namespace '${failure.namespace}' has the outbound Worker of ${failure.users.map((name) => `'${name}'`).join(", ")}: give that another one, or none, first.`,
      );
    case "unknown-script":
      if (failure.kind === "account") {
        return new ApiError(
          "workerNotFound",
          `workers.api.error.script_not_found: there is no Worker named '${failure.script}' outside of a dispatch namespace.`,
        );
      }
      return new ApiError(
        "scriptNotFound",
        `There is no script named '${failure.script}' in the dispatch namespace '${failure.namespace}'.`,
      );
    case "unknown-version":
      return new ApiError(
        "versionNotFound",
        `There is no version ${failure.versionId}: 'wrangler versions list' shows those that there are.`,
      );
    case "newest-not-deployed":
      return new ApiError(
        "newestNotDeployed",
        `The newest version of '${failure.script}', ${failure.versionId}, does not get all traffic, and this change would deploy it. ${remedyOf(failure)}`,
      );
    case "bad-shares":
      return new ApiError("invalid", `The deployment is not valid: ${failure.detail}.`);
    case "unknown-deployment":
      return new ApiError("deploymentNotFound", `There is no deployment ${failure.id}.`);
    case "deployment-in-force":
      return new ApiError(
        "invalid",
        `The deployment ${failure.id} is in force: deploy other versions before you delete it.`,
      );
    case "not-dedicated":
      return new ApiError(
        "invalid",
        `The version ${failure.versionId} has no cell of its own: its place is ${failure.place}.`,
      );
    case "unknown-route":
      return new ApiError("routeNotFound", `There is no route with the id '${failure.id}'.`);
    case "route-exists":
      return new ApiError(
        "routeExists",
        `A route with the pattern '${failure.pattern}' exists, which leads to ${failure.owner === null ? "no Worker" : `'${failure.owner}'`}. Remove it there first, or choose another pattern.`,
      );
    case "unknown-zone":
      return new ApiError(
        "zoneNotFound",
        `Could not route to /zones/${failure.id}, perhaps your object identifier is invalid? There is no such zone in this account; skep zone list shows those that there are.`,
      );
    case "zone-exists":
      return new ApiError(
        "zoneExists",
        failure.name === failure.taken
          ? `The zone '${failure.name}' exists already.`
          : `The zone '${failure.name}' would overlap with '${failure.taken}', which belongs to another account.`,
      );
    case "no-zone":
      return new ApiError(
        "notInZone",
        `'${failure.pattern}' is in no zone of this account. Declare the domain first: skep zone add ${failure.host}, or a domain above it.`,
      );
    case "not-in-zone":
      return new ApiError(
        "notInZone",
        `'${failure.pattern}' is not in the zone '${failure.zone}': leave the zone out, or name the one that it is in.`,
      );
    case "unknown-domain":
      return new ApiError(
        "routeNotFound",
        `There is no custom domain with the id '${failure.id}'.`,
      );
    case "unknown-binding":
      return new ApiError("bindingNotFound", `There is no secret named '${failure.name}'.`);
    case "binding-name-taken":
      return new ApiError(
        "bindingNameTaken",
        `Binding name '${failure.name}' already in use. Please use a different name and try again.`,
      );
    case "missing-inherited":
      // wrangler recognizes the beginning and reads the name out of it.
      return new ApiError(
        "cannotInherit",
        failure.names.map(
          (name) =>
            `inherit binding '${name}' is invalid: the version before has no such binding. If you did not ask for it, ` +
            "wrangler did, since a Worker of this name outside of dispatch namespaces has one: " +
            "write the id or name of what it leads to into the configuration",
        ),
      );
    case "too-many-bindings":
      return new ApiError(
        "tooManyBindings",
        `${failure.got} bindings are more than the ${failure.max} that a script may have.`,
      );
    case "too-many-tails":
      return new ApiError(
        "tooManyTails",
        `It is tailed ${failure.max} times already, which is the most: end one of these first.`,
      );
    case "unknown-consumer":
      return new ApiError(
        "unknownConsumer",
        `tail_consumers: there is no Worker named '${failure.script}'. Deploy it first.`,
      );
    case "too-many-tags":
      return new ApiError(
        "badTags",
        `${failure.got} tags are more than the ${failure.max} that a script may have.`,
      );
    case "bad-rollout":
      return new ApiError("badRollout", failure.detail);
    case "rollout-running":
      return new ApiError(
        "rolloutRunning",
        `A rollout of '${failure.script}' to the version ${failure.candidate} is under way: promote or abort it first.`,
      );
    case "no-rollout":
      return new ApiError(
        "noRollout",
        failure.latest === null
          ? `There is no rollout of '${failure.script}'.`
          : `No rollout of '${failure.script}' is under way: the latest one was ${failure.latest}.`,
      );
    case "changed-meanwhile":
      return new ApiError(
        "conflict",
        `The script '${failure.script}' was deployed anew while this change was tried. Repeat it.`,
      );
    case "unknown-asset-session":
      return new ApiError(
        "badCredentials",
        "The upload session of the static assets has expired, or made room for later ones. Deploy again.",
      );
    case "asset-differs":
      return new ApiError(
        "invalid",
        `The static asset ${failure.hash} has other content than what was uploaded under that hash before.`,
      );
    case "missing-assets":
      return new ApiError(
        "invalid",
        `${failure.count} of the static assets have not been uploaded. Deploy again.`,
      );
    case "startup-failed":
      return new ApiError("invalid", failure.message);
    case "trial-unavailable":
      return new ApiError(
        "unavailable",
        `The script could not be tried, so nothing was changed: ${failure.detail}`,
      );
    case "migration-tag":
      return new ApiError(
        "migrationTag",
        `Actor migration tag precondition failed, got tag '${failure.wanted ?? ""}' when expected tag is '${failure.current ?? ""}'. Migrations are applied once, in order: deploy with the configuration whose latest applied tag is that one.`,
      );
    case "class-exists":
      return new ApiError(
        "classExists",
        `Cannot apply ${failure.step} migration to class '${failure.className}' that is already depended on by existing Durable Objects`,
      );
    case "no-such-class":
      return new ApiError(
        "classBinding",
        `Cannot apply ${failure.step} migration to class '${failure.className}': the Worker '${failure.script}' has no Durable Objects of such a class.`,
      );
    case "too-many-classes":
      return new ApiError(
        "invalid",
        `'${failure.script}' would have more than ${failure.max} classes of Durable Objects, which is the most: delete one that is not used any more.`,
      );
    case "class-not-exported":
      return failure.isNew
        ? new ApiError(
            "newClassNotExported",
            `Cannot apply new-class migration to class '${failure.className}' that is not exported by script.`,
          )
        : new ApiError(
            "classNotExported",
            `New version of script does not export class '${failure.className}' which is depended on by existing Durable Objects. If you want to delete the class's Durable Objects, use a delete-class migration.`,
          );
    case "class-bound":
      return new ApiError(
        "classBinding",
        `Cannot apply --delete-class migration to class '${failure.className}' without also removing the binding that references it${failure.scripts.length === 0 ? "" : ` from ${quoted(failure.scripts)}`}.`,
      );
    case "unknown-class":
      return new ApiError(
        "classBinding",
        `Cannot create binding for class '${failure.className}' because it is not currently configured to implement Durable Objects. Did you forget to apply a --new-class migration to script '${failure.script}'?`,
      );
    case "unknown-workflow":
      return new ApiError(
        "workflowNotFound",
        `workflows.api.error.workflow_not_found: there is no Workflow '${failure.workflow}' that this token may see.`,
      );
    case "workflow-exists":
      return new ApiError(
        "workflowExists",
        `The Workflow '${failure.workflow}' belongs to the Worker '${failure.owner}', with its instances: give this one another name, or delete that one first (wrangler workflows delete ${failure.workflow}).`,
      );
    case "workflow-elsewhere":
      return new ApiError(
        "invalid",
        `binding ${failure.name}: the Workflow '${failure.workflow}' is that of the Worker '${failure.owner}', and on this platform a Worker is bound to its own only. Bind '${failure.owner}' as a service, and let it create instances.`,
      );
    case "workflow-not-exported":
      return new ApiError(
        "classBinding",
        `The Workflow '${failure.workflow}' needs the class '${failure.className}', which the script does not export.`,
      );
    case "workflow-class-taken":
      return new ApiError(
        "classBinding",
        `The Workflow '${failure.workflow}' cannot have the class '${failure.className}', which ${failure.by} of this Worker has: each needs one of its own.`,
      );
    case "too-many-workflows":
      return new ApiError(
        "invalid",
        `'${failure.script}' would have more than ${failure.max} Workflows, which is the most: delete one that is not used any more.`,
      );
    case "workflow-bound":
      return new ApiError(
        "workflowBound",
        `The Workflow '${failure.workflow}' cannot be deleted: the version of '${failure.script}' in force is bound to it. Deploy one without the binding first.`,
      );
    case "class-undeclared":
      return exportsConflict(
        failure.className,
        "undeclared",
        "it has Durable Objects, and exports does not declare it",
        `Declare it in exports, as {"type": "durable-object"} to keep them, or with "state": "deleted" to delete them.`,
      );
    case "class-storage-differs":
      return exportsConflict(
        failure.className,
        "storage-changed",
        `it was made with the storage "${failure.useSqlite ? "legacy-kv" : "sqlite"}", which cannot be changed`,
        "Declare the storage that it has.",
      );
    case "objects-in-use":
      return new ApiError(
        "objectsInUse",
        `The Worker '${failure.script}' cannot be deleted: ${quoted(failure.users)} ${failure.users.length === 1 ? "has" : "have"} bindings to its Durable Objects, which would go with it. Remove these bindings first, or delete it with ?force=true.`,
      );
    case "objects-unreachable":
      return new ApiError(
        "unavailable",
        `The change is stored, but what becomes of the Durable Objects is not done yet (${failure.detail}). It will be; try again to see it done.`,
      );
    case "unknown-resource":
      return new ApiError(
        "resourceNotFound",
        `There is no ${RESOURCE_WORDS[failure.kind]} '${failure.id}'.`,
      );
    case "unknown-change-feed":
      return new ApiError(
        "resourceNotFound",
        `There is no feed of changes with the id '${failure.id}'.`,
      );
    case "too-many-change-feeds":
      return new ApiError(
        "invalid",
        `A function may have ${failure.max} feeds of changes: delete one that is not needed any more.`,
      );
    case "too-many-resources":
      return new ApiError(
        "quotaExceeded",
        `A dispatch namespace, like the account beside them, may have ${failure.max} of a kind: before there can be another ${RESOURCE_WORDS[failure.kind]}, delete one that is not used any more.`,
      );
    case "resource-exists":
      return new ApiError(
        TAKEN[failure.kind] ?? "resourceExists",
        `There already is ${failure.kind === "r2" ? "an" : "a"} ${RESOURCE_WORDS[failure.kind]} named '${failure.name}', with the id ${failure.id}: choose another name, or bind to that one.`,
      );
    case "queue-consumer-exists":
      return new ApiError(
        "queueConsumerExists",
        `The queue ${failure.queueId} has a consumer already, and may have one only: change that one, or remove it first.`,
      );
    case "no-queue-consumer":
      return new ApiError(
        "queueConsumerNotFound",
        `The queue has no consumer with the id '${failure.id}'.`,
      );
    case "store-unreachable":
      return new ApiError(
        "unavailable",
        `The change is stored, but the store has not taken it yet (${failure.detail}). It will; try again to see it done.`,
      );
    case "edges-unreachable":
      return new ApiError(
        "unavailable",
        `The change is stored, but not confirmed by the edges, which will get it as soon as they can be reached: ${failure.detail}`,
      );
  }
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(", ");
}

/** wrangler prints the details. */
function exportsConflict(
  className: string,
  scenario: string,
  message: string,
  suggestion: string,
): ApiError {
  const text = `exports: class '${className}': ${message}. ${suggestion}`;
  const details = [{ class: className, scenario, message, suggestion }];
  return new ApiError("exportsConflict", text, { details });
}

/** wrangler's commands for versions know no dispatch namespaces. */
function remedyOf(
  failure: Extract<RegistryFailure, { readonly reason: "newest-not-deployed" }>,
): string {
  const { namespace, script, versionId } = failure;
  return namespace === null
    ? "Deploy it first with 'wrangler versions deploy', or change a version without deploying it, such as with 'wrangler versions secret put'."
    : `Deploy it first, with 'skep rollback ${namespace}/${script} ${versionId}' or by another upload.`;
}
