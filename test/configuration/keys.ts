/** Every key that the installed wrangler's configuration may have, read from its own JSON Schema. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const SCHEMA = join(import.meta.dirname, "../../node_modules/wrangler/config-schema.json");

interface Node {
  readonly $ref?: string;
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | boolean;
}

/** These repeat the whole configuration; their rows say what holds for all of it. */
const NESTED_CONFIGURATIONS = new Set(["env", "previews"]);

const { definitions } = JSON.parse(readFileSync(SCHEMA, "utf8")) as {
  readonly definitions: Readonly<Record<string, Node>>;
};

/** Such as `limits`, `limits.cpu_ms`, `routes[].pattern`, `exports.*.type`. */
export function configurationKeys(): string[] {
  const keys = new Set<string>();
  collect({ $ref: "#/definitions/RawConfig" }, "", [], keys);
  return [...keys];
}

/** `inside`: the definitions on the way here, since some contain themselves. */
function collect(node: Node, path: string, inside: readonly string[], keys: Set<string>): void {
  const name = node.$ref?.split("/").at(-1);
  if (name !== undefined) {
    const target = definitions[name];
    if (target !== undefined && !inside.includes(name)) {
      collect(target, path, [...inside, name], keys);
    }
    return;
  }
  for (const alternative of node.anyOf ?? []) collect(alternative, path, inside, keys);
  if (node.items) collect(node.items, `${path}[]`, inside, keys);
  if (typeof node.additionalProperties === "object") {
    collect(node.additionalProperties, `${path}.*`, inside, keys);
  }
  for (const [key, inner] of Object.entries(node.properties ?? {})) {
    const below = path === "" ? key : `${path}.${key}`;
    keys.add(below);
    if (!NESTED_CONFIGURATIONS.has(below)) collect(inner, below, inside, keys);
  }
}
