/** Invocations as commands show them. */
import { withoutControls } from "./table.ts";

/** Of the API. */
export interface Invocation {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly created_on: string;
  readonly ended_on: string | null;
  readonly attempts: number;
  readonly next_attempt_on: string | null;
  readonly error: string | null;
  readonly destination: {
    readonly to: Readonly<Record<string, string>>;
    readonly status: string;
    readonly error: string | null;
  } | null;
  readonly response: {
    readonly status: number;
    readonly body: string;
    readonly is_base64: boolean;
    readonly is_truncated: boolean;
  } | null;
}

export function summaryOf(invocation: Omit<Invocation, "response">): string[] {
  const { id, type, status, created_on: created, attempts, next_attempt_on: next } = invocation;
  const why =
    next === null ? (invocation.error ?? "") : `again at ${next}; ${invocation.error ?? ""}`;
  return [created, id, type, status, String(attempts), why];
}

/** With what it answered, and who was told. */
export function renderInvocation(invocation: Invocation): string {
  const { response, destination: told } = invocation;
  const lines = [summaryOf(invocation).join("  ")];
  if (told !== null) {
    const { type, ...rest } = told.to;
    const to = `${type ?? ""} ${Object.values(rest).join(" ")}`;
    lines.push(`told to ${to}: ${told.status}${told.error === null ? "" : `; ${told.error}`}`);
  }
  if (response !== null) {
    const cut = response.is_truncated ? ", cut off" : "";
    const kind = response.is_base64 ? ", in Base64" : "";
    lines.push(`response ${response.status}${kind}${cut}:`, ...response.body.split("\n"));
  }
  return lines.map((line) => `${withoutControls(line).trimEnd()}\n`).join("");
}
