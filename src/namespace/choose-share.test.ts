import { describe, expect, test } from "vitest";
import { DEFAULT_PLATFORM_LIMITS } from "../protocol/limits.ts";
import type { ScriptState } from "../protocol/routing.ts";
import { chooseShare } from "./choose-share.ts";
import { ScriptEntry } from "./script-entry.ts";

const KEY = "Cloudflare-Workers-Version-Key";
const OVERRIDES = "Cloudflare-Workers-Version-Overrides";
const [OLD, NEW, OTHER] = ["8c3a1a3e", "1f00aa11", "77777777"].map(
  (prefix) => `${prefix}-0000-4000-8000-000000000001`,
) as [string, string, string];

function state(percentages: Readonly<Record<string, number>>, generation = 1) {
  const place = { kind: "edge" as const, why: "", refusedUntilMs: 0 };
  const { defaults: limits } = DEFAULT_PLATFORM_LIMITS;
  const shares = Object.entries(percentages).map(([versionId, percentage]) => {
    return { versionId, place, limits, percentage };
  });
  const { versionId } = shares.toSorted((a, b) => b.percentage - a.percentage)[0]!;
  const name = { generation, namespace: "prod", script: "shop" };
  return { ...name, versionId, place, limits, ...(shares.length > 1 && { shares }) };
}

function script(percentages: Readonly<Record<string, number>>): ScriptEntry {
  return new ScriptEntry(state(percentages), { underWay: 0 });
}

function chosen(entry: ScriptEntry, headers: Record<string, string> = {}): string | null {
  return chooseShare(entry, new Headers(headers)).state.versionId;
}

const CLIENTS = Array.from({ length: 10_000 }, (_, index) => `client-${index}`);

describe("without a key", () => {
  test("each version gets its share", () => {
    const entry = script({ [OLD]: 90, [NEW]: 10 });
    const fresh = CLIENTS.filter(() => chosen(entry) === NEW).length;
    // Ten standard deviations: this fails once in more runs than there will be.
    expect(fresh).toBeGreaterThan(700);
    expect(fresh).toBeLessThan(1300);
  });

  test("a version with 0 % gets none, and one with 100 % all", () => {
    const entry = script({ [OLD]: 0, [NEW]: 100 });
    expect(new Set(CLIENTS.map(() => chosen(entry)))).toEqual(new Set([NEW]));
  });
});

describe("with a key", () => {
  const of = (entry: ScriptEntry) => CLIENTS.map((key) => chosen(entry, { [KEY]: key }));

  test("clients keep their version, and each version gets its share", () => {
    const entry = script({ [OLD]: 90, [NEW]: 10 });
    const first = of(entry);
    expect(of(entry)).toEqual(first);
    const fresh = first.filter((version) => version === NEW).length;
    expect(fresh).toBeGreaterThan(700);
    expect(fresh).toBeLessThan(1300);
  });

  test("a larger share takes clients of the others, and loses none of its own", () => {
    const before = of(script({ [OLD]: 90, [NEW]: 10 }));
    const after = of(script({ [OLD]: 50, [NEW]: 50 }));
    const lost = CLIENTS.filter((_, index) => before[index] === NEW && after[index] === OLD);
    expect(lost).toEqual([]);
    expect(after.filter((version) => version === NEW).length).toBeGreaterThan(4500);
  });
});

describe("an override", () => {
  const entry = script({ [OLD]: 100, [NEW]: 0 });

  test.each([
    [`shop="${NEW}"`, NEW],
    [`cart="${OLD}",  shop="${NEW}"`, NEW],
    [`cart="${NEW}"`, OLD],
    [`shop="${OTHER}"`, OLD],
    [`shop=`, OLD],
    [`shop`, OLD],
    [`"`, OLD],
  ])("%s leads to %s", (header, version) => {
    expect(chosen(entry, { [OVERRIDES]: header, [KEY]: "client" })).toBe(version);
  });
});

describe("entries of versions", () => {
  test("stay the same while their versions have shares, and count together", () => {
    const entry = script({ [OLD]: 90, [NEW]: 10 });
    const [old, fresh] = entry.versions;
    entry.take(state({ [OLD]: 40, [NEW]: 60 }, 2));
    expect(entry.versions).toEqual([old, fresh]);
    expect(entry.versions[1]).toBe(fresh);
    expect(entry.versions.map(({ percentage, whole }) => [percentage, whole])).toEqual([
      [40, entry],
      [60, entry],
    ]);
  });

  test("lead to the traffic's version when theirs has no share any more", () => {
    const entry = script({ [OLD]: 90, [NEW]: 10 });
    const [old] = entry.versions;
    entry.take(state({ [NEW]: 100 }, 2));
    expect(entry.versions).toEqual([entry]);
    expect(old?.state.versionId).toBe(NEW);
  });

  test("have their own version's assets, or none", () => {
    const of = state({ [OLD]: 90, [NEW]: 10 });
    const assets = {} as NonNullable<ScriptState["assets"]>;
    const shares = of.shares?.map((share) =>
      share.versionId === OLD ? { ...share, assets } : share,
    );
    const entry = new ScriptEntry({ ...of, ...(shares && { shares }), assets }, { underWay: 0 });
    expect(entry.versions.map(({ state: { assets: own } }) => own)).toEqual([assets, undefined]);
  });
});
