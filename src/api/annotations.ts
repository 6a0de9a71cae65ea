/** What clients write onto versions and deployments, such as `workers/message`. It is in every list of them. */
import * as z from "zod";

const MAX_CHARACTERS = 8_192;

export const annotations = z
  .record(z.string(), z.string())
  .refine(
    (all) => JSON.stringify(all).length <= MAX_CHARACTERS,
    `has more than ${MAX_CHARACTERS} characters: write a shorter message or tag`,
  );
