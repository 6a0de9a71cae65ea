/**
 * Passes a child's output on, line by line and with its name in front. What tenants log ends up here too, so
 * both the length of a line and the lines per second are bounded; what is cut is counted and said.
 *
 * Left out is what workerd says of each isolate that we end on purpose: an error and its stack of addresses.
 */
import { StringDecoder } from "node:string_decoder";

const MAX_LINE_CHARACTERS = 4096;
const MAX_LINES_PER_SECOND = 500;

const ENDED_ISOLATE =
  /^workerd\/jsg\/util\.c\+\+:\d+: error: .*script terminated for unknown reasons/;

export interface OutputLines {
  write(chunk: Buffer): void;
  /** Passes on a last line that has no line end. */
  end(): void;
}

/** `now` in milliseconds. */
export function createOutputLines(
  prefix: string,
  emit: (line: string) => void,
  now: () => number,
): OutputLines {
  const decoder = new StringDecoder("utf8");
  let pending = "";
  let cutCharacters = 0;
  let windowStart = now();
  let lines = 0;
  let dropped = 0;
  let afterEndedIsolate = false;

  const flush = () => {
    const isStack = afterEndedIsolate && pending.startsWith("stack: ");
    afterEndedIsolate = ENDED_ISOLATE.test(pending);
    if (!isStack && !afterEndedIsolate) passOn();
    pending = "";
    cutCharacters = 0;
  };
  const passOn = () => {
    if (now() - windowStart >= 1000) {
      if (dropped > 0)
        emit(`${prefix}(${dropped} lines dropped: more than ${MAX_LINES_PER_SECOND} a second)`);
      windowStart = now();
      lines = 0;
      dropped = 0;
    }
    if (lines++ < MAX_LINES_PER_SECOND) {
      emit(prefix + pending + (cutCharacters > 0 ? ` (${cutCharacters} more characters)` : ""));
    } else {
      dropped++;
    }
  };
  const append = (text: string) => {
    const room = MAX_LINE_CHARACTERS - pending.length;
    pending += text.slice(0, room);
    cutCharacters += Math.max(0, text.length - room);
  };

  return {
    write(chunk) {
      const parts = decoder.write(chunk).split("\n");
      const rest = parts.pop() ?? "";
      for (const part of parts) {
        append(part);
        flush();
      }
      append(rest);
    },
    end() {
      append(decoder.end());
      if (pending !== "") flush();
      if (dropped > 0)
        emit(`${prefix}(${dropped} lines dropped: more than ${MAX_LINES_PER_SECOND} a second)`);
      dropped = 0;
    },
  };
}
