/**
 * Passes a child's output on, line by line and with its name in front. What tenants log ends up here too, so
 * both the length of a line and the lines per second are bounded; what is cut is counted and said.
 *
 * Left out is what workerd says of each isolate that we end on purpose: an error and its stack of addresses.
 * Marker lines go to those who keep them, however many there are, and nowhere else.
 */
import { StringDecoder } from "node:string_decoder";
import { MARKER } from "../protocol/ledger.ts";
import type { Markers } from "./watch/markers.ts";

const MAX_LINE_CHARACTERS = 4096;
const MAX_LINES_PER_SECOND = 500;
/** The first character of marker lines, and hardly of any other. */
const MARKER_CODE = MARKER.charCodeAt(0);

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
  markers?: Markers,
): OutputLines {
  const decoder = new StringDecoder("utf8");
  let pending = "";
  let cutCharacters = 0;
  let windowStart = now();
  let lines = 0;
  let dropped = 0;
  let afterEndedIsolate = false;

  const flush = () => {
    if (pending.charCodeAt(0) === MARKER_CODE && cutCharacters === 0 && markers?.take(pending)) {
      pending = "";
      return;
    }
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
      emit(
        prefix +
          printable(pending) +
          (cutCharacters > 0 ? ` (${cutCharacters} more characters)` : ""),
      );
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

/** A terminal would obey control characters, and anybody may log them. */
function printable(line: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return line.replace(/\r$/, "").replace(/[\0-\b\v-\x1f\x7f-\x9f]/g, escaped);
}

function escaped(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
