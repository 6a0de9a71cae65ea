/**
 * What an upload says of its classes of Durable Objects: `migrations`, steps from one tag to another, or `exports`, all the
 * classes that there are to be.
 */
import * as z from "zod";
import type { DeclaredClasses, ObjectMigrations } from "../../registry/object-classes.ts";
import { ApiError } from "../errors.ts";
import { validate } from "../json-body.ts";
import { className } from "./binding.ts";

export type ClassChange = ObjectMigrations | DeclaredClasses;

const MAX_STEPS = 1_000;
/** Of one list; how many a script may have the registry knows. */
const MAX_CLASSES = 500;

const names = z.array(className).max(MAX_CLASSES).nullish();
const renames = z
  .array(z.object({ from: className, to: className }))
  .max(MAX_CLASSES)
  .nullish();

/** Also a migration of a single step, without a list around it. */
const step = z.object({
  new_classes: names,
  new_sqlite_classes: names,
  renamed_classes: renames,
  deleted_classes: names,
  transferred_classes: z
    .array(z.object({ from: className, from_script: z.string().min(1), to: className }))
    .max(MAX_CLASSES)
    .nullish(),
});

const migrations = step.extend({
  old_tag: z.string().nullish(),
  new_tag: z.string().nullish(),
  steps: z.array(step).max(MAX_STEPS).nullish(),
});

const storage = z.enum(["sqlite", "legacy-kv"]);

const declared = z.discriminatedUnion("state", [
  z.object({
    type: z.literal("durable-object"),
    state: z.literal("created"),
    storage: storage.default("sqlite"),
    container: z.undefined("is not supported: this platform has no containers").optional(),
  }),
  z.object({ type: z.literal("durable-object"), state: z.literal("deleted") }),
  z.object({
    type: z.literal("durable-object"),
    state: z.literal("renamed"),
    renamed_to: className,
  }),
]);

const transferring = z.object({ state: z.enum(["transferred", "expecting-transfer"]) });
const head = z.object({ type: z.string() });

/** undefined: nothing changes. `root` is where they came from, for messages. */
export function parseClasses(
  rawMigrations: unknown,
  rawExports: unknown,
  root: string,
): ClassChange | undefined {
  const isGiven = (value: unknown) =>
    value !== undefined && value !== null && Object.keys(value).length > 0;
  if (isGiven(rawMigrations) && isGiven(rawExports)) {
    throw new ApiError(
      "invalid",
      `${root} has both migrations and exports; classes of Durable Objects change by one of them.`,
    );
  }
  if (isGiven(rawExports)) return parseExports(rawExports, `${root}.exports`);
  return isGiven(rawMigrations) ? parseMigrations(rawMigrations, `${root}.migrations`) : undefined;
}

function parseMigrations(raw: unknown, root: string): ObjectMigrations {
  const given = validate(migrations, raw, root, "invalid");
  const { old_tag: oldTag, new_tag: newTag, steps, ...single } = given;
  return {
    oldTag: oldTag || null,
    newTag: newTag || null,
    steps: (steps ?? [single]).map((one) => ({
      transferred: (one.transferred_classes ?? []).map(({ from, from_script: fromScript, to }) => {
        return { from, fromScript, to };
      }),
      renamed: one.renamed_classes ?? [],
      deleted: one.deleted_classes ?? [],
      created: [
        ...(one.new_classes ?? []).map((name) => ({ name, useSqlite: false })),
        ...(one.new_sqlite_classes ?? []).map((name) => ({ name, useSqlite: true })),
      ],
    })),
  };
}

function parseExports(raw: unknown, root: string): DeclaredClasses {
  const entries = validate(z.record(className, z.unknown()), raw, root, "invalid");
  const classes: {
    -readonly [Key in keyof DeclaredClasses]: DeclaredClasses[Key][number][];
  } = { live: [], renamed: [], deleted: [] };
  for (const [name, value] of Object.entries(entries)) {
    const at = `${root}.${name}`;
    const { type } = validate(head, value, at, "invalid");
    if (type !== "durable-object") {
      throw new ApiError(
        "invalid",
        `${at}: exports of the type '${type}' are not supported by this platform; only 'durable-object' is.${type === "workflow" ? " Declare the Workflow in workflows, with a binding." : ""}`,
      );
    }
    if (transferring.safeParse(value).success) {
      throw new ApiError(
        "invalid",
        `${at}: a transfer by exports takes two deploys and is not supported by this platform; use migrations with transferred_classes.`,
      );
    }
    const given = validate(declared, { state: "created", ...(value as object) }, at, "invalid");
    if (given.state === "deleted") classes.deleted.push(name);
    else if (given.state === "renamed") classes.renamed.push({ from: name, to: given.renamed_to });
    else classes.live.push({ name, useSqlite: given.storage === "sqlite" });
  }
  return classes;
}
