import { describe, expect, it } from "vitest";
import { parseTagFilter, refuseBadTags } from "./tag-rules.ts";

describe("parseTagFilter", () => {
  it("wants all that are yes and none that are no", () => {
    const matches = parseTagFilter("team:yes,plan:free:yes,old:no");
    expect(matches(["team", "plan:free"])).toBe(true);
    expect(matches(["team"])).toBe(false);
    expect(matches(["team", "plan:free", "old"])).toBe(false);
  });

  it.each(["team", "team:maybe", "", ":yes"])("refuses %j", (filter) => {
    expect(() => parseTagFilter(filter)).toThrow(/not valid/);
  });
});

describe("refuseBadTags", () => {
  it("counts a tag that is given twice once", () => {
    refuseBadTags(["a", "b", "c", "d", "e", "f", "g", "h", "h"]);
    expect(() => refuseBadTags(["a", "b", "c", "d", "e", "f", "g", "h", "i"])).toThrow(
      "9 tags are more than the 8",
    );
  });

  it.each(["", "a,b", "a&b", "x".repeat(1025)])("refuses the tag %.20s", (tag) => {
    expect(() => refuseBadTags([tag])).toThrow(/not valid/);
  });
});
