/**
 * The official SDK's way to put an object into a form: one field per leaf, `metadata[bindings][][type]`,
 * every leaf a string. Nothing marks where one array element ends and the next begins; a key that the
 * current element already has starts the next one. Empty arrays and objects do not survive the trip, and
 * whether a leaf was a number or a string of digits is lost: `revive` decides for number. Who needs it
 * exact passes `metadata` as a JSON string.
 */

type Tree = string | Tree[] | { [key: string]: Tree };

/** The object under `root`; undefined if no field belongs to it. Throws a sentence on contradicting fields. */
export function unflatten(root: string, fields: Iterable<readonly [string, string]>): unknown {
  const tree: { [key: string]: Tree } = newObject();
  let found = false;
  for (const [name, value] of fields) {
    const path = name.startsWith(`${root}[`) ? parsePath(name.slice(root.length)) : null;
    if (!path) continue;
    found = true;
    if (!assign(tree, path, value)) {
      throw new Error(`the form field "${name}" contradicts another field of the same form`);
    }
  }
  return found ? tree : undefined;
}

/** `[bindings][][type]` -> `["bindings", "", "type"]` */
function parsePath(text: string): string[] | null {
  if (!/^(?:\[[^[\]]*\])+$/.test(text)) return null;
  return text.slice(1, -1).split("][");
}

/** False if the place is taken, with nothing changed. */
function assign(node: Tree, [key = "", ...rest]: readonly string[], value: string): boolean {
  if (typeof node === "string") return false;
  if (Array.isArray(node)) {
    if (key !== "") return false;
    if (rest.length === 0) return node.push(value) > 0;
    const last = node.at(-1);
    if (last !== undefined && assign(last, rest, value)) return true;
    const next: Tree = rest[0] === "" ? [] : newObject();
    node.push(next);
    return assign(next, rest, value);
  }
  if (rest.length === 0) {
    if (key in node) return false;
    node[key] = value;
    return true;
  }
  const child = (node[key] ??= rest[0] === "" ? [] : newObject());
  return assign(child, rest, value);
}

/** Without a prototype, so that a field named `__proto__` is a field like any other. */
function newObject(): { [key: string]: Tree } {
  return Object.create(null) as { [key: string]: Tree };
}

/** Leaves that read as JSON (numbers, `true`, `null`, whole documents) become what they read as. */
export function revive(node: unknown): unknown {
  if (typeof node === "string") {
    try {
      return JSON.parse(node) as unknown;
    } catch {
      // Not JSON: the text itself is meant.
      return node;
    }
  }
  if (Array.isArray(node)) return node.map(revive);
  if (typeof node === "object" && node !== null) {
    return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, revive(value)]));
  }
  return node;
}
