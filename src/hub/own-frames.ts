/** Stacks as the author of a function knows them: without the platform's modules around it (cell/worker-code.ts). */

/** A number stands in front where the function has a module of that name itself. */
const OWN = /[\s(](?:\d+-)?skep-(?:start|captured|bindings|globals)\.js:\d+:\d+\)?$/;

/** What was thrown by the platform's modules alone stays as it is. */
export function withoutOwnFrames(stack: string): string {
  const frames = stack.split("\n");
  const others = frames.filter((frame) => !OWN.test(frame));
  return others.length === 0 ? stack : others.join("\n");
}
