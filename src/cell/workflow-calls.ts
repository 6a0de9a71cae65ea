/** What the API does with instances of Workflows: by the binding that the script has, and by their ids as objects. */
import {
  instancesBinding,
  workflowBinding,
  type DescribedInstance,
  type InstanceEvent,
  type ListedInstance,
  type WorkflowAnswer,
  type WorkflowCellCall,
} from "../protocol/workflows.ts";

/** Methods of the runtime's engine, as the binding calls them. */
interface EngineBinding {
  createBatch(options: { instances: readonly unknown[] }): Promise<unknown>;
  status(id: string): Promise<Pick<DescribedInstance, "status" | "output" | "error">>;
  subscribe(id: string): Promise<Subscription>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  restart(id: string, options?: object): Promise<void>;
  terminate(id: string, options?: object): Promise<void>;
  sendEvent(id: string, event: object): Promise<void>;
  deleteBatch(options: { instances: readonly string[] }): Promise<unknown>;
}

interface Subscription extends Disposable {
  next(): Promise<{ readonly done: boolean; readonly value?: InstanceEvent }>;
}

/** An instance as an object. */
interface Instance {
  getInstanceMetadata(): Promise<{ instanceId: string; createdOn: string }>;
  status(): Promise<{ readonly status: string }>;
}

/** Of the history of an instance. */
const MAX_EVENTS = 5_000;
/** A history that has no end yet: the next event may come in days. */
const EVENT_WAIT_MS = 200;
/** Instances that are looked at together. */
const MAX_LOOKS = 20;

export async function administer(
  env: Readonly<Record<string, unknown>>,
  { workflow, call }: WorkflowCellCall,
): Promise<WorkflowAnswer> {
  const binding = env[workflowBinding(workflow)] as EngineBinding | undefined;
  const instances = env[instancesBinding(workflow)] as DurableObjectNamespace | undefined;
  if (binding === undefined || instances === undefined) {
    return { ok: false, error: `the version in force runs no Workflow '${workflow}'` };
  }
  try {
    const value = await answer(binding, instances);
    return { ok: true, value: value ?? null };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }

  function answer(of: EngineBinding, objects: DurableObjectNamespace): Promise<unknown> {
    switch (call.type) {
      case "list":
        return list(objects, call.objects);
      case "wake":
        // Those that were deleted meanwhile are no matter.
        return Promise.allSettled(call.ids.map((id) => of.status(id))).then(() => null);
      case "create":
        return of.createBatch({ instances: call.instances });
      case "describe":
        return describe(of, call.id);
      case "send":
        return of.sendEvent(call.id, call.event);
      case "delete":
        return of.deleteBatch({ instances: call.ids });
      case "change":
        return change(of, call);
    }
  }
}

function change(
  of: EngineBinding,
  { id, to, from, rollback }: Extract<WorkflowCellCall["call"], { type: "change" }>,
): Promise<void> {
  switch (to) {
    case "pause":
      return of.pause(id);
    case "resume":
      return of.resume(id);
    case "restart":
      return of.restart(id, from && { from });
    case "terminate":
      return of.terminate(id, rollback === true ? { rollback } : undefined);
  }
}

/** Those of objects that were deleted meanwhile are missing. */
async function list(
  instances: DurableObjectNamespace,
  objects: readonly string[],
): Promise<ListedInstance[]> {
  const listed: ListedInstance[] = [];
  for (let at = 0; at < objects.length; at += MAX_LOOKS) {
    const looks = objects.slice(at, at + MAX_LOOKS).map(async (object) => {
      const stub = instances.get(instances.idFromString(object)) as unknown as Instance;
      const { instanceId: id, createdOn } = await stub.getInstanceMetadata();
      const { status } = await stub.status();
      return { id, status, createdOn };
    });
    for (const look of await Promise.allSettled(looks)) {
      if (look.status === "fulfilled") listed.push(look.value);
    }
  }
  return listed;
}

async function describe(binding: EngineBinding, id: string): Promise<DescribedInstance> {
  const { status, output, error } = await binding.status(id);
  const events: InstanceEvent[] = [];
  using subscription = await binding.subscribe(id);
  while (events.length < MAX_EVENTS) {
    const wait = scheduler.wait(EVENT_WAIT_MS).then(() => undefined);
    const next = await Promise.race([subscription.next(), wait]);
    if (next?.value === undefined) break;
    events.push(next.value);
  }
  const isTruncated = events.length === MAX_EVENTS;
  return { status, output, events, isTruncated, ...(error && { error }) };
}
