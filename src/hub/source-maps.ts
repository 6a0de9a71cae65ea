/**
 * Stacks of exceptions in terms of the sources, where a version was uploaded with source maps. Maps are read when the
 * first exception asks for them. What is remembered is bounded, and so is the work for one that is thrown over and over.
 */
import type { TraceEvent, TraceException } from "../protocol/trace.ts";
import { loadCode } from "../registry/blobs.ts";
import type { RegistryClient } from "../registry/client.ts";
import { SourceMap } from "./source-map.ts";

/** Of the map's text; larger ones are left alone. */
const MAX_MAP_BYTES = 8 * 1024 * 1024;
const MAX_VERSIONS = 16;
const MAX_STACKS = 500;

/** By module. */
type Maps = ReadonlyMap<string, SourceMap>;

const versions = new Map<string, Promise<Maps>>();
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
      remember(stacks, key, mapped, MAX_STACKS);
      return { ...exception, stack: mapped };
    }),
  );
  return { ...event, exceptions };
}

/** `index.js:10:5` where a frame ends, with or without parentheses around it. */
const POSITION = /([^\s()]+):(\d+):(\d+)(?=\)?$)/gm;

export function mapStack(stack: string, maps: Maps): string {
  if (maps.size === 0) return stack;
  return stack.replace(POSITION, (frame, file: string, line: string, column: string) => {
    const found = maps.get(plain(file))?.find(Number(line), Number(column));
    return found === undefined ? frame : `${found.source}:${found.line}:${found.column}`;
  });
}

function mapsOf(
  versionId: string,
  registry: Pick<RegistryClient, "version">,
  blobs: Fetcher,
): Promise<Maps> {
  let maps = versions.get(versionId);
  if (maps === undefined) {
    // A stack without sources is better than none.
    maps = load(versionId, registry, blobs).catch(() => new Map());
    remember(versions, versionId, maps, MAX_VERSIONS);
  }
  return maps;
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
  for (const { name, type, content } of modules) {
    if (type !== "source-map" || content.byteLength > MAX_MAP_BYTES) continue;
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
