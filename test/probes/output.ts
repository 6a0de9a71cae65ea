/** What functions log reaches the operator's terminal: it must not forge lines, steer the terminal or name others. */
import { expect, vi } from "vitest";
import { ask, type Probe } from "./probe.ts";
import type { Stage } from "./stage.ts";

export const output: readonly Probe[] = [
  {
    name: "what a function logs steers no terminal",
    source: `
      export default { fetch() {
        console.log("return\\rskep: FORGED-RETURN");
        console.error("escape \\u001b[2J\\u001b]0;FORGED-TITLE\\u0007 csi \\u009b31m");
        console.log("back\\b\\b\\b\\bspace FORGED-BACKSPACE");
        return new Response("logged");
      } };`,
    check: async (stage, script) => {
      const from = await logs(stage, script, "FORGED-BACKSPACE");
      const printed = stage.platform.output.slice(from);
      // A terminal would obey control characters but tab and line end.
      // oxlint-disable-next-line no-control-regex -- they are what is looked for
      expect(printed.match(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f][^\n]{0,40}/g) ?? []).toEqual(
        [],
      );
    },
  },
  {
    name: "progress markers and announcements that a function makes up name nobody",
    source: `
      export default { fetch(request) {
        const version = "00000000-0000-4000-8000-000000000000";
        const zeros = "0".repeat(64);
        for (const token of [zeros.slice(32), version, ""]) {
          console.log("\\u0001skep " + token);
          console.log("\\u0001skep+ " + zeros + " " + token + " " + version);
          console.log("x\\n\\u0001skep " + token + "\\n\\u0001skep+ " + zeros + " " + token + " " + version);
        }
        throw new Error("mine");
      } };`,
    check: async (stage, script) => {
      const headers = { "x-targets": encodeURIComponent(JSON.stringify(stage.targets)) };
      for (let i = 0; i < 5; i++) {
        const answer = await ask(stage, script, { headers });
        expect([answer.status, answer.headers.get("x-skep-error")]).toEqual([500, "1101"]);
        await stage.askVictim();
      }
    },
  },
  {
    name: "what a function logs stays marked as a function's, line by line, and is bounded",
    source: `
      export default { fetch() {
        console.log("first\\nskep: FORGED-LINE\\r\\nready FORGED-LINE");
        console.log("l".repeat(1e6));
        for (let i = 0; i < 3000; i++) console.log("flood " + i);
        return new Response("logged");
      } };`,
    check: async (stage, script) => {
      const from = await logs(stage, script, "FORGED-LINE");
      await new Promise((resolve) => setTimeout(resolve, 300));
      const printed = stage.platform.output.slice(from);
      const lines = printed.split("\n");
      expect(lines.filter((line) => /^(?:skep: |ready )FORGED/.test(line))).toEqual([]);
      expect(lines.filter((line) => line.length > 5_000)).toEqual([]);
      expect(lines.length).toBeLessThan(2_500);
    },
  },
];

/** Calls the function and waits until the platform has printed `words`. Returns where its output began. */
async function logs(stage: Stage, script: string, words: string): Promise<number> {
  // Lines are counted by the second, and functions before this one may have used theirs up.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const from = stage.platform.output.length;
  expect((await ask(stage, script)).text).toBe("logged");
  await vi.waitFor(() => expect(stage.platform.output.slice(from)).toContain(words), 5_000);
  return from;
}
