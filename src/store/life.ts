/** Which life of this process it is: what an earlier one had begun, nobody will end. */
let life: string | undefined;

/** Made on first use: no randomness is allowed before. */
export function currentLife(): string {
  return (life ??= crypto.randomUUID());
}
