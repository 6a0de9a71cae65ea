/**
 * What becomes of every key of wrangler's configuration when a Worker is deployed here. The one source of
 * docs/configuration.md; configuration.test.ts tries every row with the real wrangler.
 */

/** `honoured`: by the platform, or by wrangler before it uploads; projects.ts shows how each is seen. */
export type Verdict = "honoured" | "refused" | "no effect";

export interface Row {
  /** A refused key, and one without effect, stands for all that is below it; an honoured one for itself. */
  readonly keys: readonly string[];
  readonly verdict: Verdict;
  readonly note: string;
  /** The smallest configuration that asks for it. All but honoured rows have one. */
  readonly sample?: object;
  /** Part of what wrangler prints. Refused rows have one. */
  readonly says?: string;
  /** Refused rows of one batch are refused in one deploy, each with its own sentence. Absent: alone. */
  readonly batch?: "metadata" | "bindings";
  /** What is different for Workers outside of dispatch namespaces, if anything is. */
  readonly account?: Pick<Row, "verdict" | "note" | "sample" | "says">;
}

/** A queue that there is while the samples are tried. */
export const OWN_QUEUE = "own";
/** A Worker of each kind. */
export const OWN_WORKER = "own";

/** The row as it is for account Workers. */
export function ofAccount(row: Row): Row {
  return row.account ? { keys: row.keys, ...row.account } : row;
}

const D1_LOCAL =
  "d1_databases[].preview_database_id d1_databases[].remote d1_databases[].database_internal_env";

/** wrangler makes the database, under the name of the Worker and its binding. */
const localD1 = (binding: string) => ({
  binding,
  preview_database_id: "1",
  remote: false,
  database_internal_env: "e",
});

const D1_MIGRATIONS =
  "d1_databases[].migrations_table d1_databases[].migrations_dir d1_databases[].migrations_pattern";

const migratedD1 = (binding: string) => ({
  binding,
  migrations_table: "t",
  migrations_dir: "m",
  migrations_pattern: "m/*.sql",
});

const R2_LOCAL = "r2_buckets[].preview_bucket_name r2_buckets[].remote r2_buckets[].local_dev";

function honoured(keys: string, note: string): Row {
  return { keys: keys.split(" "), verdict: "honoured", note };
}

function noEffect(keys: string, note: string, sample: object): Row {
  return { keys: keys.split(" "), verdict: "no effect", note, sample };
}

/** Refused by wrangler itself, or by a call that it makes before it uploads. */
function refused(keys: string, says: string, sample: object): Row {
  return { keys: keys.split(" "), verdict: "refused", note: says, says, sample };
}

/** Refused by the upload, for this key of its metadata. */
function refusedKey(keys: string, metadataKey: string, note: string, sample: object): Row {
  const says = `metadata.${metadataKey}: `;
  return { keys: keys.split(" "), verdict: "refused", note, says, sample, batch: "metadata" };
}

/** Refused by the upload, which names the binding and its type. `sample` gets the name that it is given. */
function refusedBinding(key: string, type: string, sample: (name: string) => object): Row {
  const name = `OF_${key.toUpperCase()}`;
  return {
    keys: [key],
    verdict: "refused",
    note: `binding of type \`${type}\``,
    says: `binding ${name} of type ${type} is not supported`,
    sample: { [key]: sample(name) },
    batch: "bindings",
  };
}

const LOCAL = "only for `wrangler dev`";
const OF_ACCOUNT_WORKERS = "wrangler sends it for account Workers only";

const DISPATCHER_KEYS =
  "dispatch_namespaces dispatch_namespaces[].binding dispatch_namespaces[].namespace dispatch_namespaces[].outbound dispatch_namespaces[].outbound.service dispatch_namespaces[].outbound.parameters";

const ROUTE_KEYS =
  "routes routes[].pattern routes[].custom_domain routes[].zone_id routes[].zone_name route route.pattern route.custom_domain route.zone_id route.zone_name";

const ROUTE = { pattern: "shop.routed.test/*", zone_name: "routed.test" };
const DOMAIN = { pattern: "own.routed.test", custom_domain: true };
/** Each with a class of its own (configuration.test.ts), so that they can be deployed together. */
function workflow(key: string, value: unknown, name = key) {
  const className = `Flow_${key}`;
  return { workflows: [{ binding: className, name, class_name: className, [key]: value }] };
}

const REFUSED_OF_WORKFLOWS = {
  concurrency: { limit: 2 },
  schedules: "* * * * *",
  jurisdiction: "eu",
};

const EVENT = {
  type: "cf.artifacts.repo.pushed",
  filter: { namespace: "n" },
  targets: [{ type: "workflow", workflow_name: "w" }],
};

export const TABLE: readonly Row[] = [
  // Who and what
  honoured("name", "the script; with an environment `<name>-<env>`"),
  honoured("main", "what is bundled and uploaded"),
  honoured("account_id", "the account, as `CLOUDFLARE_ACCOUNT_ID`"),
  honoured("compatibility_date compatibility_flags", "by workerd; experimental flags are refused"),
  honoured("env", "every key of this table, with `--env`"),
  noEffect("$schema", "for editors", { $schema: "node_modules/wrangler/config-schema.json" }),

  // How it is built
  honoured("define alias minify keep_names tsconfig jsx_factory jsx_fragment", "by wrangler"),
  honoured("build build.command build.cwd", "by wrangler, before it bundles"),
  noEffect("build.watch_dir", LOCAL, { build: { watch_dir: "." } }),
  honoured("rules rules[].type rules[].globs rules[].fallthrough", "how files become modules"),
  honoured("no_bundle find_additional_modules base_dir", "modules are uploaded as they are"),
  honoured("preserve_file_names", "modules keep the names of their files"),
  honoured("upload_source_maps", "stored with the modules"),
  noEffect("python_modules", "for Python, which is refused by the type of its modules", {
    python_modules: { exclude: ["**/*.pyc"] },
  }),

  // What it is given
  honoured("vars", "`plain_text` and `json` bindings"),
  honoured("keep_vars", "variables set by the API survive a deploy"),
  honoured("secrets secrets.required", "wrangler deploys only when they are set"),
  honoured("version_metadata version_metadata.binding", "id, tag and time of the version"),
  honoured(
    "services services[].binding services[].service services[].entrypoint services[].props",
    "to Workers of the same account, or namespace; with RPC",
  ),
  noEffect("services[].remote", LOCAL, {
    services: [{ binding: "REMOTE", service: OWN_WORKER, remote: false }],
  }),
  {
    ...refused(DISPATCHER_KEYS, "is not for user Workers", {
      dispatch_namespaces: [{ binding: "B", namespace: "production" }],
    }),
    account: {
      verdict: "honoured",
      note: "`environment` may only be `production`; `remote` is only for `wrangler dev`",
    },
  },
  honoured(
    "analytics_engine_datasets analytics_engine_datasets[].binding analytics_engine_datasets[].dataset",
    "data points, asked for by REST",
  ),
  noEffect("analytics_engine_datasets[].remote", LOCAL, {
    analytics_engine_datasets: [{ binding: "REMOTE_POINTS", remote: false }],
  }),
  honoured(
    "ratelimits ratelimits[].name ratelimits[].namespace_id ratelimits[].simple ratelimits[].simple.limit ratelimits[].simple.period",
    "counted on this machine, for each Worker; those with the same `namespace_id` share a count if their limits are the same",
  ),
  honoured("wasm_modules text_blobs data_blobs", "of service-worker syntax"),
  honoured(
    "unsafe unsafe.bindings unsafe.bindings[].name unsafe.bindings[].type",
    "as a binding of that type, or refused as such",
  ),
  honoured(
    "unsafe.metadata",
    "as keys of the upload: those that are known here are honoured or refused, others passed over, as by Cloudflare",
  ),
  noEffect("unsafe.bindings[].dev", LOCAL, {
    unsafe: {
      bindings: [
        { name: "B", type: "plain_text", text: "x", dev: { plugin: { package: "p", name: "n" } } },
      ],
    },
  }),
  refusedKey("unsafe.capnp", "capnp_schema", "Cap'n Proto schemas", {
    unsafe: { capnp: { compiled_schema: "schema" } },
  }),

  // How it runs
  honoured("limits limits.cpu_ms limits.subrequests", "up to what the operator allows"),
  noEffect("placement placement.mode placement.hint", "there is one machine", {
    placement: { mode: "smart", hint: "wnam" },
  }),
  refusedKey("placement.region", "placement", "a fixed place", {
    placement: { region: "aws:eu-west-1" },
  }),
  refused("placement.host", "metadata.placement", { placement: { host: "db.example.com:5432" } }),
  refused("placement.hostname", "metadata.placement", {
    placement: { hostname: "db.example.com" },
  }),
  honoured(
    "observability observability.enabled observability.head_sampling_rate observability.logs observability.logs.enabled observability.logs.head_sampling_rate observability.logs.invocation_logs observability.logs.persist",
    "logs are kept, for `skep logs` and REST; metrics are always on",
  ),
  refusedKey(
    "observability.logs.destinations",
    "observability.logs.destinations",
    "export of logs",
    {
      observability: { logs: { destinations: ["elsewhere"] } },
    },
  ),
  refusedKey("observability.traces", "observability.traces", "traces", {
    observability: { traces: { enabled: true } },
  }),
  refusedKey("observability.issues", "observability.issues", "issues", {
    observability: { issues: { enabled: true } },
  }),
  refusedKey(
    "observability.redact_query_string",
    "observability.redact_query_string",
    "logs without query strings",
    { observability: { redact_query_string: true } },
  ),
  refusedKey("logpush", "logpush", "Logpush", { logpush: true }),
  refusedKey("cache", "cache_options", "the cache in front of a Worker", {
    cache: { enabled: true },
  }),
  honoured(
    "durable_objects durable_objects.bindings durable_objects.bindings[].name durable_objects.bindings[].class_name durable_objects.bindings[].script_name",
    "to classes of the same Worker, or of another one of the same account or namespace ([durable-objects.md](durable-objects.md))",
  ),
  {
    keys: ["durable_objects.bindings[].environment"],
    verdict: "refused",
    note: "Workers have no environments",
    says: "may only be production",
    sample: {
      durable_objects: {
        bindings: [{ name: "B", class_name: "C", script_name: "other", environment: "staging" }],
      },
    },
  },
  noEffect("durable_objects.code_update_strategy", "a new version is in force at once", {
    durable_objects: { bindings: [], code_update_strategy: { mode: "deferred", max_delay: 300 } },
  }),
  honoured(
    "migrations migrations[].tag migrations[].new_classes migrations[].new_sqlite_classes migrations[].renamed_classes migrations[].renamed_classes[].from migrations[].renamed_classes[].to migrations[].deleted_classes",
    "with the deploy that brings them, all or nothing; what is stored is in SQLite in either case",
  ),
  honoured(
    "migrations[].transferred_classes migrations[].transferred_classes[].from migrations[].transferred_classes[].from_script migrations[].transferred_classes[].to",
    "from a Worker of the same account, or namespace",
  ),
  honoured(
    "exports exports.*.type exports.*.state exports.*.storage exports.*.renamed_to",
    "of the type `durable-object`, which is `created`, `renamed` or `deleted`",
  ),
  refused("exports.*.transferred_to", "use migrations with transferred_classes", {
    exports: {
      Counter: { type: "durable-object", state: "transferred", transferred_to: "other" },
    },
  }),
  refused("exports.*.transfer_from", "use migrations with transferred_classes", {
    exports: {
      Counter: {
        type: "durable-object",
        state: "expecting-transfer",
        storage: "sqlite",
        transfer_from: "other",
      },
    },
  }),
  refused("exports.*.cache", "exports of the type 'worker' are not supported", {
    exports: { default: { type: "worker", cache: { enabled: true } } },
  }),
  refused(
    "exports.*.limits exports.*.concurrency exports.*.schedules exports.*.default_retention exports.*.jurisdiction exports.*.name",
    "Declare the Workflow in workflows",
    { exports: { Flow: { type: "workflow", name: "flow", limits: { steps: 5 } } } },
  ),
  refused("containers exports.*.container", "metadata.containers: containers", {
    containers: [{ class_name: "Counter", image: "registry.cloudflare.com/x/y:1" }],
    durable_objects: { bindings: [{ name: "B", class_name: "Counter" }] },
  }),
  honoured(
    "tail_consumers tail_consumers[].service",
    "Workers of the same account, or namespace, which have to exist",
  ),
  refused("tail_consumers[].environment", "environments of Workers are not supported", {
    tail_consumers: [{ service: "tailer", environment: "staging" }],
  }),
  refusedKey("streaming_tail_consumers", "streaming_tail_consumers", "streaming tail consumers", {
    streaming_tail_consumers: [{ service: "tailer" }],
  }),
  honoured("assets assets.directory assets.binding", "served before the Worker, kept per version"),
  honoured("assets.html_handling assets.not_found_handling assets.run_worker_first", "as there"),
  refused("assets.base_path", "metadata.assets.config.base_path: is not supported", {
    assets: { directory: "public", base_path: "/a" },
  }),
  honoured("site site.bucket site.include site.exclude", "files go to a KV namespace of their own"),
  refused("site.entry-point", "Don't define both the `main` and `site.entry-point` fields", {
    site: { bucket: "public", "entry-point": "." },
  }),

  // How it is reached
  {
    ...noEffect("workers_dev preview_urls", OF_ACCOUNT_WORKERS, {
      workers_dev: true,
      preview_urls: true,
    }),
    account: { verdict: "honoured", note: "whether host names of its own lead to it" },
  },
  {
    ...noEffect(ROUTE_KEYS, OF_ACCOUNT_WORKERS, { routes: [ROUTE] }),
    account: { verdict: "honoured", note: "of zones that `skep zone add` has made known" },
  },
  {
    ...noEffect("routes[].enabled route.enabled", OF_ACCOUNT_WORKERS, {
      routes: [{ ...DOMAIN, enabled: true }],
    }),
    account: refused("routes", "leave the domain out instead", {
      routes: [{ ...DOMAIN, enabled: false }],
    }),
  },
  {
    ...noEffect("routes[].previews_enabled route.previews_enabled", OF_ACCOUNT_WORKERS, {
      routes: [{ ...DOMAIN, previews_enabled: false }],
    }),
    account: refused("routes", "previews answer under the platform's own names", {
      routes: [{ ...DOMAIN, previews_enabled: true }],
    }),
  },
  noEffect("triggers", "by itself; see below", { triggers: {} }),
  {
    ...noEffect("triggers.crons", "wrangler warns and sends none; `skep schedules set` does", {
      triggers: { crons: ["* * * * *"] },
    }),
    account: { verdict: "honoured", note: "see [events.md](events.md)" },
  },
  refused("triggers.events", "that Workflow is not defined by this Worker", {
    triggers: { events: [EVENT] },
  }),
  {
    ...noEffect("addresses", OF_ACCOUNT_WORKERS, { addresses: ["a@example.com"] }),
    account: refused("addresses", "Skep has no Email Routing", { addresses: ["a@example.com"] }),
  },
  noEffect("connect", LOCAL, { connect: [{ protocol: "tcp", port: 25 }] }),

  // Products
  refused("agent_memory", "Skep has no Agent Memory", {
    agent_memory: [{ binding: "B", namespace: "n" }],
  }),
  refusedBinding("ai", "ai", (binding) => ({ binding })),
  refusedBinding("ai_search", "ai_search", (binding) => [{ binding, instance_name: "i" }]),
  refused("ai_search_namespaces", "Skep has no AI Search", {
    ai_search_namespaces: [{ binding: "B", namespace: "n" }],
  }),
  refusedBinding("analytics", "analytics", (binding) => ({ binding })),
  refusedBinding("artifacts", "artifacts", (binding) => [{ binding, namespace: "n" }]),
  refusedBinding("browser", "browser", (binding) => ({ binding })),
  honoured(
    "d1_databases d1_databases[].binding d1_databases[].database_id",
    "without an id wrangler makes one, for a user Worker once ([d1.md](d1.md))",
  ),
  honoured("d1_databases[].database_name", "of the database that wrangler makes"),
  {
    ...noEffect(D1_MIGRATIONS, "for `wrangler d1 migrations`", {
      d1_databases: [migratedD1("MIGRATED_D1")],
    }),
    account: noEffect(D1_MIGRATIONS, "for `wrangler d1 migrations`", {
      d1_databases: [migratedD1("MIGRATED_D1_OF_ACCOUNT")],
    }),
  },
  {
    ...noEffect(D1_LOCAL, LOCAL, { d1_databases: [localD1("REMOTE_D1")] }),
    account: noEffect(D1_LOCAL, LOCAL, { d1_databases: [localD1("REMOTE_D1_OF_ACCOUNT")] }),
  },
  refused("d1_databases[].jurisdiction", "there are no jurisdictions", {
    d1_databases: [{ binding: "B", jurisdiction: "eu" }],
  }),
  refusedBinding("flagship", "flagship", (binding) => [{ binding, app_id: "a" }]),
  refusedBinding("hyperdrive", "hyperdrive", (binding) => [{ binding, id: "1" }]),
  refusedBinding("images", "images", (binding) => ({ binding })),
  refusedBinding("k2", "k2", (binding) => [{ binding, stream: "s" }]),
  honoured(
    "kv_namespaces kv_namespaces[].binding kv_namespaces[].id",
    "without an id wrangler makes one, for a user Worker once ([kv.md](kv.md))",
  ),
  {
    ...noEffect("kv_namespaces[].preview_id kv_namespaces[].remote", LOCAL, {
      kv_namespaces: [{ binding: "REMOTE_KV", preview_id: "1", remote: false }],
    }),
    // One that is made has its name from this.
    account: noEffect("kv_namespaces[].preview_id kv_namespaces[].remote", LOCAL, {
      kv_namespaces: [{ binding: "REMOTE_KV_OF_ACCOUNT", preview_id: "1", remote: false }],
    }),
  },
  refusedBinding("logfwdr", "logfwdr", (name) => ({ bindings: [{ name, destination: "d" }] })),
  refusedBinding("media", "media", (binding) => ({ binding })),
  refusedBinding("mtls_certificates", "mtls_certificate", (binding) => [
    { binding, certificate_id: "1" },
  ]),
  refusedBinding("pipelines", "pipelines", (binding) => [{ binding, pipeline: "p" }]),
  honoured(
    "queues queues.producers queues.producers[].binding queues.producers[].queue queues.producers[].delivery_delay",
    "see [queues.md](queues.md)",
  ),
  noEffect("queues.producers[].remote", LOCAL, {
    queues: { producers: [{ binding: "REMOTE_QUEUE", queue: OWN_QUEUE, remote: false }] },
  }),
  {
    ...noEffect(
      "queues.consumers queues.consumers[].queue queues.consumers[].max_batch_size queues.consumers[].max_batch_timeout queues.consumers[].max_retries queues.consumers[].dead_letter_queue queues.consumers[].max_concurrency queues.consumers[].retry_delay",
      "wrangler sets consumers for Workers outside of dispatch namespaces alone; for others there is `wrangler queues consumer add`",
      { queues: { consumers: [{ queue: OWN_QUEUE, max_retries: 1 }] } },
    ),
    account: {
      verdict: "honoured",
      note: "one consumer for each queue; see [queues.md](queues.md)",
    },
  },
  noEffect(
    "queues.consumers[].type queues.consumers[].visibility_timeout_ms",
    "wrangler makes each a Worker that messages are brought to; `wrangler queues consumer http add` makes others",
    { queues: { consumers: [{ queue: OWN_QUEUE, type: "worker", visibility_timeout_ms: 1_000 }] } },
  ),
  honoured(
    "r2_buckets r2_buckets[].binding r2_buckets[].bucket_name",
    "without a name wrangler makes one, for a user Worker once ([r2.md](r2.md))",
  ),
  {
    ...noEffect(R2_LOCAL, LOCAL, {
      r2_buckets: [
        { binding: "REMOTE_R2", preview_bucket_name: "preview", remote: false, local_dev: {} },
      ],
    }),
    account: noEffect(R2_LOCAL, LOCAL, {
      r2_buckets: [
        {
          binding: "REMOTE_R2_OF_ACCOUNT",
          preview_bucket_name: "preview",
          remote: false,
          local_dev: {},
        },
      ],
    }),
  },
  refused("r2_buckets[].jurisdiction", "the jurisdiction 'eu' is not supported", {
    r2_buckets: [{ binding: "B", bucket_name: "bucket", jurisdiction: "eu" }],
  }),
  refusedBinding("secrets_store_secrets", "secrets_store_secret", (binding) => [
    { binding, store_id: "s", secret_name: "n" },
  ]),
  refusedBinding("send_email", "send_email", (name) => [{ name }]),
  refusedBinding("stream", "stream", (binding) => ({ binding })),
  refusedBinding("unsafe_hello_world", "unsafe_hello_world", (binding) => [{ binding }]),
  refusedBinding("vectorize", "vectorize", (binding) => [{ binding, index_name: "i" }]),
  refusedBinding("vpc_networks", "vpc_network", (binding) => [{ binding, tunnel_id: "1" }]),
  refusedBinding("vpc_services", "vpc_service", (binding) => [{ binding, service_id: "1" }]),
  refusedBinding("worker_loaders", "worker_loader", (binding) => [{ binding }]),
  honoured(
    "workflows workflows[].binding workflows[].name workflows[].class_name",
    "see [workflows.md](workflows.md)",
  ),
  refused("workflows[].script_name", "a Worker is bound to its own only", {
    workflows: [{ binding: "B", name: "w", class_name: "Flow", script_name: "other" }],
  }),
  {
    ...noEffect(
      "workflows[].limits workflows[].limits.steps workflows[].default_retention workflows[].default_retention.success_retention workflows[].default_retention.error_retention",
      OF_ACCOUNT_WORKERS,
      workflow("limits", { steps: 5 }),
    ),
    account: { verdict: "honoured", note: "see [workflows.md](workflows.md)" },
  },
  ...Object.entries(REFUSED_OF_WORKFLOWS).map(([key, value]) => ({
    ...noEffect(`workflows[].${key}`, OF_ACCOUNT_WORKERS, workflow(key, value)),
    account: refused(
      `workflows[].${key}`,
      "is not supported by this platform",
      workflow(key, value, `of-account-${key}`),
    ),
  })),

  // For wrangler and for others
  noEffect("dev", LOCAL, { dev: { ip: "127.0.0.1", port: 8787, local_protocol: "http" } }),
  noEffect("access", LOCAL, { access: { dev: { aud: "a" } } }),
  noEffect("previews", "only for `wrangler preview`, which is refused", {
    previews: { vars: { A: "1" } },
  }),
  noEffect("cloudchamber", "only for `wrangler containers`, which is refused", {
    cloudchamber: { memory: "1GB" },
  }),
  noEffect("compliance_region", "chooses among Cloudflare's own addresses", {
    compliance_region: "public",
  }),
  noEffect("first_party_worker", "wrangler prints more", { first_party_worker: true }),
  noEffect("send_metrics", "what wrangler tells Cloudflare about its use", { send_metrics: false }),
  noEffect("dependencies_instrumentation", "the list of packages is not stored", {
    dependencies_instrumentation: { enabled: true },
  }),
  noEffect("pages_build_output_dir", "wrangler warns that this is a Pages project", {
    pages_build_output_dir: "./public",
  }),
];
