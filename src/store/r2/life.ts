/** Which process this is, so that files which one before it was writing can be told from those that are arriving. */
let life: string | undefined;

/** Not at the top level of the module, where the runtime has no random numbers. */
export function thisLife(): string {
  life ??= crypto.randomUUID();
  return life;
}
