/** KV: every method, type, limit and error of the binding. */
import { outcome, type Cases } from "./cases.ts";

export const kvCases: Cases = {
  "a key that is not there": ({ KV }) => KV.get("absent"),
  "an empty key": ({ KV }) => outcome(() => KV.get("")),
};
