/**
 * The Worker beside a script with Workflows: the runtime's own engine (protocol/workflows.ts), with one addition for each
 * attempt of a step: the gate is told of it, so that the cell does not end as idle while it is under way, and the process
 * looks at its sockets before.
 */
import { RpcTarget } from "cloudflare:workers";
import { Engine as RuntimeEngine } from "workflows-engine";

export { WorkflowBinding } from "workflows-engine";

interface WorkflowsEnv {
  readonly STEPS: { begin(): Promise<Disposable> };
}

/** What the engine takes of its context. `workflowClass`: the script's. */
interface EngineProps {
  readonly workflowClass: { run(event: unknown, step: StepCalls): Promise<unknown> };
}

type StepCalls = Record<
  "do" | "sleep" | "sleepUntil" | "waitForEvent",
  (...args: unknown[]) => unknown
>;

export class Engine extends RuntimeEngine<WorkflowsEnv, EngineProps> {
  constructor(ctx: DurableObjectState<EngineProps>, env: WorkflowsEnv) {
    super(ctx, env);
    const { id, storage, props } = ctx;
    const run = (event: unknown, step: StepCalls) =>
      props.workflowClass.run(event, new Steps(step, env) as unknown as StepCalls);
    const watched = {
      id,
      storage,
      props: { ...props, workflowClass: { run } },
      waitUntil: (work: Promise<unknown>) => ctx.waitUntil(work),
      abort: (reason?: string) => ctx.abort(reason),
    };
    Object.assign(this, { ctx: watched });
  }
}

/** What `run()` gets as `step`. */
class Steps extends RpcTarget {
  readonly #step: StepCalls;
  readonly #env: WorkflowsEnv;

  constructor(step: StepCalls, env: WorkflowsEnv) {
    super();
    this.#step = step;
    this.#env = env;
  }

  /** `(name, callback)` or `(name, config, callback)`, and what rolls it back. */
  do(...args: unknown[]): unknown {
    const at = args.findIndex((argument) => typeof argument === "function");
    const callback = args[at] as ((...given: unknown[]) => Promise<unknown>) | undefined;
    if (callback === undefined) return this.#step.do(...args);
    const watched = async (...given: unknown[]) => {
      // Ends with this context, too, if the instance is ended in the midst of the step.
      using _ = await this.#env.STEPS.begin();
      // Steps that wait for nothing follow each other without the process looking at its sockets; a timer makes it look.
      await scheduler.wait(1);
      return await callback(...given);
    };
    return this.#step.do(...args.with(at, watched));
  }

  sleep(...args: unknown[]): unknown {
    return this.#step.sleep(...args);
  }

  sleepUntil(...args: unknown[]): unknown {
    return this.#step.sleepUntil(...args);
  }

  waitForEvent(...args: unknown[]): unknown {
    return this.#step.waitForEvent(...args);
  }
}
