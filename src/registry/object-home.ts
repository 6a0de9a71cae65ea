/** What a script keeps in a stateful cell. */
import type { ObjectHome } from "../protocol/objects.ts";
import { classesOf } from "./object-classes.ts";
import { runningWorkflows } from "./workflows.ts";

/** null: the script has neither classes of Durable Objects nor Workflows that run. */
export function homeOf(sql: SqlStorage, scriptId: string): ObjectHome | null {
  const classes = classesOf(sql, scriptId).map(({ key, className }) => ({ key, className }));
  const workflows = runningWorkflows(sql, scriptId);
  if (classes.length === 0 && workflows.length === 0) return null;
  return { scriptId, classes, ...(workflows.length > 0 && { workflows }) };
}
