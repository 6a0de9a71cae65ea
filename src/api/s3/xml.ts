/** The little XML that S3 needs. Reading: elements and their text, as clients send them; no attributes, no entities but XML's five. */
import { S3Error } from "./s3-error.ts";

const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";

/** Markup; made by `element` only. */
export interface Markup {
  readonly markup: string;
}

type Content = string | number | boolean | Markup | readonly (Markup | null)[];

export function element(name: string, content: Content): Markup {
  return { markup: `<${name}>${inner(content)}</${name}>` };
}

/** With S3's namespace. */
export function result(name: string, content: readonly (Markup | null)[]): string {
  return document({ markup: `<${name} xmlns="${NAMESPACE}">${inner(content)}</${name}>` });
}

export function document({ markup }: Markup): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${markup}`;
}

function inner(content: Content): string {
  if (typeof content !== "object") return escape(String(content));
  if ("markup" in content) return content.markup;
  return content.map((one) => one?.markup ?? "").join("");
}

function escape(text: string): string {
  return text.replace(
    // What XML cannot carry at all becomes a question mark; line breaks would be changed.
    // oxlint-disable-next-line no-control-regex
    /[&<>"\r\n]|[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g,
    (character) => ESCAPES[character] ?? "?",
  );
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\r": "&#13;",
  "\n": "&#10;",
};

export interface Element {
  readonly name: string;
  readonly text: string;
  readonly children: readonly Element[];
}

/** Each takes a time that grows as its length does, and no faster: texts come from clients. */
const TOKEN = /<\?[^>]*\?>|<!--[\s\S]*?-->|<(\/?)([\w:.-]+)(?=[\s/>])[^<>]*?(\/?)>|([^<]+)/gy;

/** The root. */
export function parseXml(source: string): Element {
  const root = { name: "", text: "", children: [] as Element[] };
  const open = [root];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const [, closes, name, isEmpty, text] = TOKEN.exec(source) ?? refuse();
    const current = open.at(-1) ?? refuse();
    if (text !== undefined) {
      current.text += unescape(text);
    } else if (name !== undefined && closes) {
      if (current.name !== local(name) || open.length === 1) refuse();
      open.pop();
    } else if (name !== undefined) {
      const child = { name: local(name), text: "", children: [] };
      current.children.push(child);
      if (!isEmpty) open.push(child);
    }
  }
  const [only] = root.children;
  if (open.length > 1 || only === undefined || root.children.length > 1) refuse();
  return only as Element;
}

/** Texts of the children with that name. */
export function texts({ children }: Element, name: string): string[] {
  return children.filter((child) => child.name === name).map(({ text }) => text);
}

function local(name: string): string {
  return name.slice(name.indexOf(":") + 1);
}

function unescape(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (_, decimal, hex, name: string) => {
    if (decimal || hex) {
      const code = Number.parseInt((decimal ?? hex) as string, decimal ? 10 : 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : refuse();
    }
    return { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }[name] ?? refuse();
  });
}

function refuse(): never {
  throw new S3Error("MalformedXML", "The XML you provided was not well-formed.");
}
