/**
 * Writes a value as Cap'n Proto text, the language of workerd's configuration files. Everything is quoted
 * here, so that no path, host name or setting can end a string and add configuration of its own.
 */

/** The content of a file, put in when workerd reads the configuration. Relative to the configuration file. */
export class Embed {
  readonly path: string;
  constructor(path: string) {
    this.path = path;
  }
}

/** A bare word: an enumerant such as `proxy`, or `void`. */
export class Word {
  readonly text: string;
  constructor(text: string) {
    if (!/^[a-z]\w*$/i.test(text)) throw new TypeError(`not a Cap'n Proto word: ${text}`);
    this.text = text;
  }
}

export type CapnpValue =
  | string
  | number
  | boolean
  | Embed
  | Word
  | readonly CapnpValue[]
  | { readonly [field: string]: CapnpValue | undefined };

/** Fields that are undefined are left out. */
export function capnpText(value: CapnpValue): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value instanceof Embed) return `embed ${quote(value.path)}`;
  if (value instanceof Word) return value.text;
  if (isList(value)) return `[${value.map(capnpText).join(", ")}]`;
  const fields = Object.entries(value).flatMap(([name, field]) =>
    field === undefined ? [] : [`${name} = ${capnpText(field)}`],
  );
  return `(${fields.join(", ")})`;
}

function isList(value: CapnpValue): value is readonly CapnpValue[] {
  return Array.isArray(value);
}

function quote(text: string): string {
  if (text.includes("\0")) throw new TypeError("Cap'n Proto text cannot hold a NUL character");
  const escaped = text.replace(
    // oxlint-disable-next-line no-control-regex -- control characters are what must be escaped
    /["\\\u0001-\u001f\u007f]/g,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `"${escaped}"`;
}
