// The runtime's engine of Workflows: the configuration of a stateful cell supplies the module.
declare module "workflows-engine" {
  import type { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

  export const Engine: typeof DurableObject;
  export const WorkflowBinding: typeof WorkerEntrypoint;
}
