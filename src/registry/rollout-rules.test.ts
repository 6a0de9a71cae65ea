import { describe, expect, it } from "vitest";
import { formatMetric, parseRules } from "./rollout-rules.ts";

describe("rules of a rollout", () => {
  it("are limits, or comparisons with the old version", () => {
    const parsed = parseRules("error_rate>1%, p99>+50%,cost > +12.5%,p50>1.5s,p90>20ms");
    expect(parsed.ok && parsed.value).toMatchObject([
      { metric: "error_rate", kind: "limit", threshold: 0.01 },
      { metric: "p99", kind: "growth", threshold: 0.5 },
      { metric: "cost", kind: "growth", threshold: 0.125 },
      { metric: "p50", kind: "limit", threshold: 1500 },
      { metric: "p90", kind: "limit", threshold: 20 },
    ]);
  });

  it.each([
    ["", "cannot be read"],
    ["error_rate", "cannot be read"],
    ["error_rate>1%,", "the rule '' cannot be read"],
    ["errors>1%", "'errors' is none of error_rate"],
    ["error_rate<1%", "has '<'"],
    ["error_rate>=1%", "has '>='"],
    ["error_rate>0.01", "needs a %"],
    ["error_rate>100%", "never holds"],
    ["p99>50", "needs ms or s"],
    ["p99>50%", "needs ms or s, or a + and a %"],
    ["p99>+50ms", "compares with the old version"],
    ["p99>-50%", "cannot be read"],
    ["p99>1e3ms", "cannot be read"],
    [Array.from({ length: 11 }, () => "p99>1s").join(","), "11 rules are more than 10"],
  ])("such as '%s' are refused with the reason", (text, reason) => {
    const parsed = parseRules(text);
    expect(parsed.ok ? null : parsed.failure).toContain(reason);
  });

  it("are shown with their units", () => {
    expect(formatMetric("error_rate", 0.05231)).toBe("5.23 %");
    expect(formatMetric("p99", 1234.5)).toBe("1230 ms");
    expect(formatMetric("cost", 0.4567)).toBe("0.457 ms");
  });
});
