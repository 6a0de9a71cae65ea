/**
 * Tasks in memory, newest first when listed. Throws an HTTPException for what a client did wrong: an
 * unknown id (404) or a full store (507).
 */
import { HTTPException } from "hono/http-exception";
import type { NewComment, NewTask, TaskChange, TaskQuery } from "./schemas.ts";

const MAX_TASKS = 1000;
const MAX_COMMENTS_PER_TASK = 100;

export interface Comment extends NewComment {
  readonly createdAt: string;
}

export interface Task extends NewTask {
  readonly id: string;
  readonly createdAt: string;
  readonly done: boolean;
  readonly comments: readonly Comment[];
}

export interface TaskStore {
  list(query: TaskQuery): Task[];
  add(task: NewTask): Task;
  get(id: string): Task;
  change(id: string, change: TaskChange): Task;
  remove(id: string): void;
  comment(id: string, comment: NewComment): Comment;
  count(): { tasks: number; done: number; comments: number };
}

export function createTaskStore(): TaskStore {
  const tasks = new Map<string, Task>();

  const get = (id: string): Task => {
    const task = tasks.get(id);
    if (!task) throw new HTTPException(404, { message: `There is no task ${id}.` });
    return task;
  };

  return {
    get,
    list({ done, label, limit }) {
      return [...tasks.values()]
        .filter((task) => done === undefined || task.done === done)
        .filter((task) => label === undefined || task.labels.includes(label))
        .reverse()
        .slice(0, limit);
    },
    add(task) {
      refuseWhenFull(tasks.size, MAX_TASKS, "tasks");
      const id = crypto.randomUUID();
      const added = { ...task, id, createdAt: now(), done: false, comments: [] };
      tasks.set(id, added);
      return added;
    },
    change(id, change) {
      const changed = { ...get(id), ...change };
      tasks.set(id, changed);
      return changed;
    },
    remove(id) {
      get(id);
      tasks.delete(id);
    },
    comment(id, comment) {
      const task = get(id);
      refuseWhenFull(task.comments.length, MAX_COMMENTS_PER_TASK, "comments");
      const added = { ...comment, createdAt: now() };
      tasks.set(id, { ...task, comments: [...task.comments, added] });
      return added;
    },
    count() {
      const all = [...tasks.values()];
      return {
        tasks: all.length,
        done: all.filter((task) => task.done).length,
        comments: all.reduce((sum, task) => sum + task.comments.length, 0),
      };
    },
  };
}

function refuseWhenFull(size: number, max: number, what: string): void {
  if (size < max) return;
  throw new HTTPException(507, { message: `There are ${max} ${what} already; delete some first.` });
}

function now(): string {
  return new Date().toISOString();
}
