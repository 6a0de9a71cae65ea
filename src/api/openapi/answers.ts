/**
 * What the API answers, the `result` of its envelope, for the OpenAPI document. Strict: the tests parse real
 * answers with these, so that a field which nobody described fails.
 */
import * as z from "zod";
import { PERMISSIONS } from "../../protocol/permissions.ts";
import { ISOLATIONS } from "../../protocol/placement.ts";

const time = z.iso.datetime();
const count = z.int().min(0);
const optionalText = z.string().nullable();

export const nothing = z.null();

export const verifiedToken = z.strictObject({
  id: z.string(),
  status: z.literal("active"),
  not_before: time,
  expires_on: time.optional(),
});

export const user = z.strictObject({
  id: z.string(),
  email: z.string(),
  username: z.string(),
  created_on: time,
});

export const account = z.strictObject({
  id: z.string(),
  name: z.string(),
  type: z.literal("standard"),
  settings: z.strictObject({}),
});

export const membership = z.strictObject({
  id: z.string(),
  status: z.literal("accepted"),
  account,
  roles: z.array(z.string()),
  permissions: z.strictObject({}),
});

export const namespace = z.strictObject({
  namespace_id: z.string(),
  namespace_name: z.string(),
  created_on: time,
  created_by: optionalText,
  modified_on: time,
  modified_by: optionalText,
  script_count: count,
  trusted_workers: z.boolean(),
  isolation: z.enum(ISOLATIONS).nullable(),
  outbound: z.strictObject({ script: z.string(), parameters: z.array(z.string()) }).nullable(),
  tail_consumers: z.array(z.string()),
});

/** Of a script; more than Cloudflare documents comes with what a version configures. */
export const script = z.strictObject({
  id: z.string(),
  tag: z.string(),
  tags: z.array(z.string()),
  etag: z.string(),
  handlers: z.array(z.string()),
  named_handlers: z.array(z.strictObject({ name: z.string(), handlers: z.array(z.string()) })),
  entry_point: z.string(),
  has_modules: z.boolean(),
  has_assets: z.boolean(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()),
  logpush: z.boolean(),
  observability: z.record(z.string(), z.unknown()).optional(),
  usage_model: z.string(),
  last_deployed_from: z.string(),
  migration_tag: z.string().optional(),
  startup_time_ms: z.number(),
  deployment_id: z.string(),
  created_on: time,
  modified_on: time,
});

export const namespacedScript = z.strictObject({
  id: z.string(),
  dispatch_namespace: z.string(),
  script,
  tags: z.array(z.string()),
  place: z.strictObject({ kind: z.string(), why: z.string() }),
  created_on: time,
  modified_on: time,
});

export const binding = z.looseObject({ type: z.string(), name: z.string() });

export const settings = z.strictObject({
  bindings: z.array(binding),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()),
  limits: z.record(z.string(), z.number()),
  placement: z.record(z.string(), z.unknown()),
  tags: z.array(z.string()),
  logpush: z.boolean(),
  observability: z.record(z.string(), z.unknown()),
  tail_consumers: z.array(z.unknown()),
  usage_model: z.string(),
});

export const secretName = z.strictObject({ name: z.string(), type: z.literal("secret_text") });

/** By their names. */
export const secretNames = z.record(z.string(), secretName);

const limitValues = z.record(z.string(), z.number());
export const limits = z.strictObject({ limits: limitValues, effective: limitValues });

export const placement = z.strictObject({
  version_id: z.string(),
  place: z.string(),
  why: z.string(),
  trust: z.string(),
  since: time,
  clean_invocations: count,
  strikes: z.array(time),
  convictions: count,
  refused_until: time.nullable(),
});

export const incident = z.looseObject({ at: time, version_id: optionalText });

export const tag = z.string();
export const tags = z.array(tag);

export const route = z.strictObject({
  id: z.string(),
  pattern: z.string(),
  namespace: z.string(),
  script: optionalText,
});

export const foundScript = z.strictObject({
  id: z.string(),
  script_name: z.string(),
  service_name: z.string(),
  environment_name: z.string(),
  environment_is_default: z.boolean(),
  created_on: time,
  modified_on: time,
});

const versionMetadata = z.strictObject({
  created_on: time,
  modified_on: time,
  source: z.string(),
  author_id: z.string(),
  author_email: z.string(),
  has_preview: z.boolean(),
});

const versionSummary = z.strictObject({
  id: z.string(),
  number: count,
  metadata: versionMetadata,
  annotations: z.record(z.string(), z.string()),
});

/** Of an upload more, as `PUT` has it. */
export const version = versionSummary.extend({
  resources: z.strictObject({
    bindings: z.array(binding),
    script: z.looseObject({ etag: z.string(), handlers: z.array(z.string()) }),
    script_runtime: z.looseObject({
      compatibility_date: z.string(),
      compatibility_flags: z.array(z.string()),
    }),
  }),
  startup_time_ms: z.number(),
});

export const workerVersion = version.extend({ created_on: time });

export const versions = z.strictObject({ items: z.array(version) });

export const deployment = z.strictObject({
  id: z.string(),
  source: z.string(),
  strategy: z.literal("percentage"),
  author_id: z.string(),
  author_email: z.string(),
  annotations: z.record(z.string(), z.string()),
  created_on: time,
  versions: z.array(z.strictObject({ version_id: z.string(), percentage: z.number() })),
});

/** wrangler reads `deployments`, the SDK `items`. */
export const deployments = z.strictObject({
  deployments: z.array(deployment),
  items: z.array(deployment),
});

export const scriptSettings = settings.pick({
  tags: true,
  logpush: true,
  observability: true,
  tail_consumers: true,
});

export const subdomain = z.strictObject({ subdomain: z.string() });
export const scriptSubdomain = z.strictObject({
  enabled: z.boolean(),
  previews_enabled: z.boolean(),
});
export const worker = z.strictObject({
  id: z.string(),
  name: z.string(),
  created_on: time,
  updated_on: time,
  deployed_on: time,
  tags: z.array(z.string()),
  logpush: z.boolean(),
  observability: z.record(z.string(), z.unknown()),
  tail_consumers: z.array(z.unknown()),
  subdomain: scriptSubdomain.extend({ url: z.url(), preview_url_suffix: z.string() }),
  references: z.record(z.string(), z.array(z.unknown())),
});

export const tail = z.strictObject({ id: z.string(), url: z.url(), expires_at: time });

export const id = z.strictObject({ id: z.string() });
export const ids = z.array(id);

export const zone = z.strictObject({
  id: z.string(),
  name: z.string(),
  status: z.literal("active"),
  paused: z.boolean(),
  type: z.literal("full"),
  account: z.strictObject({ id: z.string(), name: z.string() }),
  created_on: time,
  modified_on: time,
  activated_on: time,
});

export const zoneRoute = z.strictObject({
  id: z.string(),
  pattern: z.string(),
  script: z.string().optional(),
  zone_id: z.string(),
  zone_name: z.string(),
});

export const domain = z.strictObject({
  id: z.string(),
  hostname: z.string(),
  service: optionalText,
  environment: z.literal("production"),
  zone_id: z.string(),
  zone_name: z.string(),
  cert_id: z.string(),
  enabled: z.boolean(),
  previews_enabled: z.boolean(),
});

/** `updated` says whose they are today; `modified`, whether that is somebody else. */
export const domainChanges = z.strictObject({
  added: z.array(domain.pick({ hostname: true })),
  removed: z.array(domain),
  updated: z.array(domain.extend({ modified: z.boolean() })),
  conflicting: z.array(domain.pick({ hostname: true })),
});

const permissionGroup = z.strictObject({ id: z.enum(PERMISSIONS), name: z.string() });
export const offeredPermissionGroup = permissionGroup.extend({ scopes: z.array(z.string()) });

export const token = z.strictObject({
  id: z.string(),
  name: z.string(),
  status: z.enum(["active", "expired"]),
  issued_on: time,
  modified_on: time,
  last_used_on: time.nullable(),
  expires_on: time.optional(),
  policies: z.array(
    z.strictObject({
      id: z.string(),
      effect: z.literal("allow"),
      permission_groups: z.array(permissionGroup),
      resources: z.record(z.string(), z.literal("*")),
    }),
  ),
});
const tokenValue = z.string();
export const newToken = token.extend({ value: tokenValue });
export const rolledToken = tokenValue;

/** `buckets`: hashes of what is missing, as it may be sent together. `jwt`: for sending, or for the deploy if none is. */
export const assetsSession = z.strictObject({
  jwt: z.string(),
  buckets: z.array(z.array(z.string())),
});
/** With the last of them (201) comes what the deploy presents. */
export const assetsUpload = z.strictObject({ jwt: z.string().optional() });

export const accountSettings = z.strictObject({
  default_usage_model: z.literal("standard"),
  green_compute: z.boolean(),
});

const production = z.literal("production");

export const objectNamespace = z.strictObject({
  id: z.string(),
  name: z.string(),
  script: z.string(),
  class: z.string(),
  use_sqlite: z.boolean(),
  dispatch_namespace: z.string().optional(),
});

export const durableObject = z.strictObject({ id: z.string(), hasStoredData: z.boolean() });

export const references = z.strictObject({
  services: z.strictObject({
    incoming: z.array(
      z.strictObject({ name: z.string(), service: z.string(), environment: production }),
    ),
    outgoing: z.array(z.unknown()),
    pages_function: z.boolean(),
  }),
  durable_objects: z.array(
    z.strictObject({
      service: z.string(),
      environment: production,
      durable_object_namespace_id: z.string(),
      durable_object_namespace_name: z.string(),
    }),
  ),
  dispatch_outbounds: z.array(
    z.strictObject({ service: z.string(), namespace: z.string(), environment: production }),
  ),
});

export const tailProducer = z.strictObject({
  producer: z.strictObject({ script: z.string() }),
  consumer: z.strictObject({ script: z.string() }),
});

export const environment = z.strictObject({
  environment: production,
  created_on: time,
  modified_on: time,
  script,
});

export const service = z.strictObject({
  id: z.string(),
  default_environment: environment,
  environments: z.array(environment),
  created_on: time,
  modified_on: time,
});
