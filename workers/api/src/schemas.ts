// What a client may send. The limits keep one isolate's memory small.
import * as z from "zod";

export const newTask = z.strictObject({
  title: z.string().trim().min(1).max(200),
  due: z.iso.date().optional(),
  labels: z.array(z.string().min(1).max(30)).max(10).default([]),
});

export const taskChange = newTask
  .partial()
  .extend({ labels: newTask.shape.labels.unwrap().optional(), done: z.boolean().optional() })
  .refine((change) => Object.keys(change).length > 0, "Send at least one field to change.");

export const taskQuery = z.strictObject({
  done: z.stringbool().optional(),
  label: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

export const newComment = z.strictObject({
  author: z.string().trim().min(1).max(80),
  text: z.string().trim().min(1).max(2000),
});

export type NewTask = z.infer<typeof newTask>;
export type TaskChange = z.infer<typeof taskChange>;
export type TaskQuery = z.infer<typeof taskQuery>;
export type NewComment = z.infer<typeof newComment>;
