import { describe, expect, it } from "vitest";
import { MAX_BINDINGS, resolveBindings } from "./bindings.ts";
import type { BindingChange, StoredBinding } from "./records.ts";

const BEFORE: readonly StoredBinding[] = [
  { type: "plain_text", name: "VAR", text: "old" },
  { type: "json", name: "OBJECT", json: {} },
  { type: "secret_text", name: "KEY", sealed: "sealed" },
];

type Replace = Extract<BindingChange, { mode: "replace" }>;
const upload = (change: Partial<Replace>): Replace => ({
  mode: "replace",
  bindings: [],
  keepTypes: [],
  strict: true,
  ...change,
});

function namesOf(change: BindingChange, before = BEFORE): string[] {
  const resolved = resolveBindings(change, before);
  if (!resolved.ok) throw new Error(resolved.failure.reason);
  return resolved.value.map(({ name }) => name);
}

describe("an upload", () => {
  it("keeps secrets even if it says nothing of them", () => {
    expect(namesOf(upload({}))).toEqual(["KEY"]);
  });

  it("keeps the types that it names", () => {
    expect(namesOf(upload({ keepTypes: ["plain_text", "json"] }))).toEqual([
      "VAR",
      "OBJECT",
      "KEY",
    ]);
  });

  it("replaces a secret by a variable of the same name", () => {
    const bindings = [{ type: "plain_text", name: "KEY", text: "open" }] as const;
    expect(resolveBindings(upload({ bindings }), BEFORE)).toEqual({ ok: true, value: bindings });
  });

  it("inherits under another name", () => {
    const bindings = [{ type: "inherit", name: "NEW", oldName: "VAR" }] as const;
    expect(resolveBindings(upload({ bindings }), BEFORE)).toEqual({
      ok: true,
      value: [{ type: "plain_text", name: "NEW", text: "old" }, BEFORE[2]],
    });
  });

  it("names all that it cannot inherit, or drops them if it is not strict", () => {
    const bindings = ["A", "VAR", "B"].map(
      (name) => ({ type: "inherit", name, oldName: name }) as const,
    );
    expect(resolveBindings(upload({ bindings }), BEFORE)).toEqual({
      ok: false,
      failure: { reason: "missing-inherited", names: ["A", "B"] },
    });
    expect(namesOf(upload({ bindings, strict: false }))).toEqual(["VAR", "KEY"]);
  });

  it("is refused with more bindings than a script may have", () => {
    const bindings = Array.from(
      { length: MAX_BINDINGS },
      (_, n) => ({ type: "plain_text", name: `V${n}`, text: "" }) as const,
    );
    expect(resolveBindings(upload({ bindings }), []).ok).toBe(true);
    expect(resolveBindings(upload({ bindings }), BEFORE)).toEqual({
      ok: false,
      failure: { reason: "too-many-bindings", got: MAX_BINDINGS + 1, max: MAX_BINDINGS },
    });
  });
});

describe("a secret write", () => {
  const write = (secrets: Record<string, string | null>): BindingChange => ({
    mode: "secrets",
    secrets,
  });

  it("adds, replaces and removes by name", () => {
    expect(namesOf(write({ OTHER: "x", KEY: null }))).toEqual(["VAR", "OBJECT", "OTHER"]);
  });

  it("does not touch what is not a secret", () => {
    expect(resolveBindings(write({ VAR: "x" }), BEFORE)).toMatchObject({
      failure: { reason: "binding-name-taken", name: "VAR" },
    });
  });

  it("cannot remove what is not there", () => {
    expect(resolveBindings(write({ NONE: null }), BEFORE)).toMatchObject({
      failure: { reason: "unknown-binding", name: "NONE" },
    });
  });
});
