/**
 * Stacks of exceptions in terms of the sources, where a version was uploaded with source maps. Maps are read when the
 * first exception asks for them. What is remembered is bounded, and so is the work for one that is thrown over and over.
 */
import type { TraceEvent, TraceException } from "../protocol/trace.ts";
import { loadCode } from "../registry/blobs.ts";
import type { RegistryClient } from "../registry/client.ts";
import { SourceMap } from "./source-map.ts";

/** Of the text of a version's maps together; those that exceed it are left alone. Read, one may take eight times as much. */
const MAX_MAP_BYTES = 8 * 1024 * 1024;
const MAX_VERSIONS = 16;
/** Of what was read, as long as there are several versions. */
const MAX_READ_BYTES = 64 * 1024 * 1024;
const MAX_STACKS = 500;
/** Longer ones are not remembered. */
const MAX_STACK_CHARACTERS = 16_384;

/** By module. */
type Maps = ReadonlyMap<string, SourceMap>;

const versions = new Map<string, { readonly maps: Promise<Maps>; bytes: number }>();
/** By version and stack. */
const stacks = new Map<string, string>();

export async function withSourcePositions(
  event: TraceEvent,
  registry: Pick<RegistryClient, "version">,
  blobs: Fetcher,
): Promise<TraceEvent> {
  if (!event.exceptions.some(({ stack }) => stack !== undefined)) return event;
  const versionId = event.scriptVersion.id;
  const exceptions = await Promise.all(
    event.exceptions.map(async (exception): Promise<TraceException> => {
      const { stack } = exception;
      if (stack === undefined) return exception;
      const key = `${versionId} ${stack}`;
      const known = stacks.get(key);
      if (known !== undefined) return { ...exception, stack: known };
      const mapped = mapStack(stack, await mapsOf(versionId, registry, blobs));
      if (stack.length <= MAX_STACK_CHARACTERS) remember(stacks, key, mapped, MAX_STACKS);
      return { ...exception, stack: mapped };
    }),
  );
  return { ...event, exceptions };
}

/** `index.js:10:5` where a frame ends, with or without parentheses around it. Begins at the colon, so that no line costs more than its length. */
const POSITION = /:(\d+):(\d+)\)?$/;

export function mapStack(stack: string, maps: Maps): string {
  if (maps.size === 0) return stack;
  return stack
    .split("\n")
    .map((line) => mapFrame(line, maps))
    .join("\n");
}

function mapFrame(text: string, maps: Maps): string {
  const position = POSITION.exec(text);
  if (position === null) return text;
  const [all, line, column] = position;
  const before = text.slice(0, position.index);
  const start = Math.max(...[" ", "\t", "(", ")"].map((end) => before.lastIndexOf(end))) + 1;
  const found = maps.get(plain(before.slice(start)))?.find(Number(line), Number(column));
  if (found === undefined) return text;
  const end = all.endsWith(")") ? ")" : "";
  return `${text.slice(0, start)}${found.source}:${found.line}:${found.column}${end}`;
}

function mapsOf(
  versionId: string,
  registry: Pick<RegistryClient, "version">,
  blobs: Fetcher,
): Promise<Maps> {
  const known = versions.get(versionId);
  if (known !== undefined) return known.maps;
  // A stack without sources is better than none.
  const maps = load(versionId, registry, blobs).catch((): Maps => new Map());
  const reading = { maps, bytes: 0 };
  remember(versions, versionId, reading, MAX_VERSIONS);
  return maps.then((read) => {
    reading.bytes = [...read.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    forgetSurplus();
    return read;
  });
}

function forgetSurplus(): void {
  let total = [...versions.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  for (const [id, { bytes }] of versions) {
    if (total <= MAX_READ_BYTES || versions.size === 1) return;
    versions.delete(id);
    total -= bytes;
  }
}

async function load(
  versionId: string,
  registry: Pick<RegistryClient, "version">,
  blobs: Fetcher,
): Promise<Maps> {
  const maps = new Map<string, SourceMap>();
  const found = await registry.version(versionId);
  if (!found.ok) return maps;
  const { modules } = await loadCode(blobs, found.value.version.code.blob);
  let room = MAX_MAP_BYTES;
  for (const { name, type, content } of modules) {
    if (type !== "source-map" || content.byteLength > room) continue;
    room -= content.byteLength;
    try {
      const map = new SourceMap(new TextDecoder().decode(content));
      maps.set(plain(name).replace(/\.map$/, ""), map);
    } catch {
      // The tenant's map is no use; the other modules' may be.
    }
  }
  return maps;
}

function plain(name: string): string {
  return name.replace(/^(\.\/)+/, "");
}

function remember<T>(memory: Map<string, T>, key: string, value: T, most: number): void {
  memory.set(key, value);
  const [oldest] = memory.keys();
  if (memory.size > most && oldest !== undefined) memory.delete(oldest);
}
