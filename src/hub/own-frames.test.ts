import { expect, test } from "vitest";
import { withoutOwnFrames } from "./own-frames.ts";

const OF_THE_FUNCTION = "    at explode (index.js:2:35)\n    at Object.fetch (index.js:7:35)";

test.each([
  "    at Proxy.<anonymous> (skep-start.js:13:39)",
  "    at skep-captured.js:1:2",
  "    at async of (1-skep-bindings.js:4:5)",
])("%s is not the function's", (frame) => {
  expect(withoutOwnFrames(`${OF_THE_FUNCTION}\n${frame}`)).toBe(OF_THE_FUNCTION);
  expect(withoutOwnFrames(frame)).toBe(frame);
});

test.each(["    at f (my-skep-start.js:1:1)", "    at f (skep-start.js:1:1) (index.js:1:1)"])(
  "%s is",
  (frame) => {
    expect(withoutOwnFrames(`${OF_THE_FUNCTION}\n${frame}`)).toBe(`${OF_THE_FUNCTION}\n${frame}`);
  },
);
