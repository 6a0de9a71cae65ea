/** A reason why the platform cannot start that the operator can act on. Shown as one sentence, without a stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}
