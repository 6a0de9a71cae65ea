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
    redact_query_string: flag.nullish(),
    issues: z.looseObject({ enabled: flag.optional() }).nullish(),
    traces: z.looseObject({ enabled: flag.optional() }).nullish(),
    logs: z
      .looseObject({
        enabled: flag.optional(),
        head_sampling_rate: rate.nullish(),
        invocation_logs: flag.optional(),
        persist: flag.optional(),
        destinations: z.array(z.string()).nullish(),
      })
      .nullish(),
  })
  .refine(
    (settings) => JSON.stringify(settings).length <= MAX_CHARACTERS,
    `has more than ${MAX_CHARACTERS} characters`,
  );

/** What is asked for and is not supported: key and sentence without its end. */
export function unsupported(asked: z.output<typeof observability>): [key: string, what: string][] {
  const { issues, logs, redact_query_string: redacts, traces } = asked;
  const all: [boolean, string, string][] = [
    [traces?.enabled === true, "traces", "traces are"],
    [issues?.enabled === true, "issues", "issues are"],
    [Boolean(logs?.destinations?.length), "logs.destinations", "the export of logs is"],
    [redacts === true, "redact_query_string", "removing query strings from what is logged is"],
  ];
  return all.filter(([isAsked]) => isAsked).map(([, key, what]) => [`observability.${key}`, what]);
}

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
