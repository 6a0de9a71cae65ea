/** What of `metadata` and `settings` is about logs. */
import * as z from "zod";

export const MAX_TAIL_CONSUMERS = 10;
const MAX_CHARACTERS = 8_192;

/** In the SDK's dialect every leaf is a string. */
const rate = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d*\.?\d+$/)
      .transform(Number),
  ])
  .pipe(z.number().min(0).max(1));
const flag = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);

/** What is not known here is kept, and shown again. */
export const observability = z
  .looseObject({
    enabled: flag.optional(),
    head_sampling_rate: rate.nullish(),
    logs: z
      .looseObject({
        enabled: flag.optional(),
        head_sampling_rate: rate.nullish(),
        invocation_logs: flag.optional(),
      })
      .nullish(),
  })
  .refine(
    (settings) => JSON.stringify(settings).length <= MAX_CHARACTERS,
    `has more than ${MAX_CHARACTERS} characters`,
  );

/** A Worker of the same kind and namespace. There are no environments of services, and no `namespace` to choose. */
export const tailConsumer = z.object({
  service: z.string().min(1),
  environment: z
    .string()
    .nullish()
    .refine((name) => !name || name === "production", "environments of Workers are not supported"),
  namespace: z
    .string()
    .nullish()
    .refine((name) => !name, "consumers in another namespace are not supported: leave it out"),
});
