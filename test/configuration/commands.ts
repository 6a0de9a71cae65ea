/**
 * Every command of wrangler that speaks with the platform, or would. Those that work have tests of their own
 * (wrangler.test.ts and others); commands.test.ts runs each refused one.
 */
export interface Command {
  readonly commands: readonly string[];
  /** `empty`: it shows a list with nothing in it. */
  readonly verdict: "works" | "refused" | "empty" | "local";
  readonly note: string;
  /** Refused and empty: what is run, and part of what wrangler prints. */
  readonly tries?: readonly string[];
  readonly says?: string;
}

function works(commands: string, note = ""): Command {
  return { commands: commands.split(", "), verdict: "works", note };
}

function local(commands: string, note: string): Command {
  return { commands: commands.split(", "), verdict: "local", note };
}

/** `tries`: command lines, without the word wrangler. */
function refused(commands: string, says: string, ...tries: string[]): Command {
  return { commands: commands.split(", "), verdict: "refused", note: says, says, tries };
}

export const COMMANDS: readonly Command[] = [
  works("whoami"),
  works("dispatch-namespace create, list, get, rename, delete"),
  works("deploy --dispatch-namespace", "with `--env`, `--var`, `--tag`, `--message`, `--dry-run`"),
  works("deploy --dry-run, versions upload --dry-run", "no call at all"),

  works("deploy", "of account Workers, with `--env`, `--var`, `--keep-vars`, `--secrets-file`"),
  works("versions upload, list, view, deploy", "see [versions.md](versions.md)"),
  works("versions secret put, delete, list, bulk", "a new version that is not deployed"),
  works("deployments list, status"),
  works("rollback", "across changed secrets it asks first"),
  works(
    "secret put, delete, list, bulk",
    "of account Workers, also before the first deploy; refused (10215) while the newest version does not get all traffic. Of user Workers by API or SDK",
  ),
  works(
    "r2 bucket, object",
    "`object` with `--remote`; of `bucket`: `create`, `list`, `info`, `update`, `delete`, `cors`, `lifecycle`, `notification` ([r2.md](r2.md))",
  ),
  works("kv namespace, key, bulk", "`key` and `bulk` with `--remote` ([kv.md](kv.md))"),
  works(
    "d1",
    "with `--remote`; `info` counts no queries and `insights` finds none ([d1.md](d1.md))",
  ),
  works("triggers deploy", "routes, custom domains and `crons`"),
  works(
    "delete",
    "of account Workers; it names the Workers that depend on it. Of user Workers by API or SDK",
  ),
  works(
    "tail",
    "of account Workers, with all its filters and formats; `skep tail` is for user Workers, too ([logs.md](logs.md))",
  ),

  refused("agent-memory", "Skep has no Agent Memory", "agent-memory namespace list"),
  refused("ai", "Skep has no Workers AI", "ai models", "ai finetune list"),
  refused("ai-search", "Skep has no AI Search", "ai-search list", "ai-search namespace list"),
  refused("artifacts", "Skep has no Artifacts", "artifacts namespaces list"),
  refused("basin catalog", "Skep has no R2 Data Catalog", "basin catalog get b"),
  refused("basin pipelines", "Skep has no Pipelines", "basin pipelines list"),
  refused("browser", "Skep has no Browser Run", "browser list"),
  refused(
    "cert, mtls-certificate",
    "Skep has no mTLS certificates",
    "cert list",
    "mtls-certificate list",
  ),
  refused("containers", "Skep has no containers", "containers list"),
  refused(
    "email",
    "Skep has no Email Routing",
    "email routing list",
    "email routing addresses list",
    "email sending list",
  ),
  refused("flagship", "Skep has no Flagship", "flagship apps list"),
  refused("hyperdrive", "Skep has no Hyperdrive", "hyperdrive list", "hyperdrive get x"),
  refused("k2", "Skep has no K2 streams", "k2 streams list"),
  refused(
    "pages",
    "Skep has no Cloudflare Pages",
    "pages project list",
    "pages deployment list --project-name p",
  ),
  {
    ...refused("preview", "Skep has no Previews of branches", "preview --name x"),
    note: "Skep has no Previews of branches; `versions upload --preview-alias` gives a version a host name of its own",
  },
  works(
    "queues list, create, update, delete, info, pause-delivery, resume-delivery, purge",
    "see [queues.md](queues.md)",
  ),
  works("queues consumer add, remove, list, queues consumer http add, remove"),
  refused(
    "queues subscription",
    "Skep has no event subscriptions of queues",
    "queues subscription get q --id x",
  ),
  refused(
    "r2 bucket domain, dev-url, lock, sippy, local-uploads",
    "Skep has no ",
    "r2 bucket domain list bucket",
    "r2 bucket lock list bucket",
    "r2 bucket sippy get bucket",
  ),
  refused("secrets-store", "Skep has no Secrets Store", "secrets-store store list --remote"),
  refused("tunnel", "Skep has no Cloudflare Tunnel", "tunnel list"),
  refused("turnstile", "Skep has no Turnstile", "turnstile widget list"),
  refused("vectorize", "Skep has no Vectorize", "vectorize list", "vectorize get i"),
  refused("vpc", "Skep has no Workers VPC", "vpc service list"),
  works(
    "workflows list, describe, trigger, delete, workflows instances list, describe, pause, resume, restart, terminate, terminate-all, send-event, delete",
    "see [workflows.md](workflows.md)",
  ),

  {
    ...refused("containers images, containers registries", "Bad Request", "containers images list"),
    note: "wrangler does not print the reason",
  },
  {
    ...refused("dev --remote", "edge-preview) failed", "dev --remote --port 0"),
    note: "Skep has no remote development; wrangler prints the call that was refused, without the reason",
  },

  local("login, logout, auth", "of wrangler's own; a token from `skep env` is all that is needed"),
  local("dev, types, init, setup, docs, complete", "speaks with no platform"),
  local("tunnel run, tunnel quick-start", "speaks with others than the API"),
];
