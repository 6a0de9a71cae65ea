/** The commands of `skep`, in the order of its help. */
import { INVOCATION_STATES } from "../protocol/invocations.ts";
import { ISOLATIONS } from "../protocol/placement.ts";
import { PERMISSIONS } from "../protocol/permissions.ts";
import { DATA_OPTION, defaultText, START_OPTIONS } from "../supervisor/config.ts";
import { readSurroundings } from "../supervisor/surroundings.ts";
import type { Command, CommandOption } from "./command.ts";
import { ROLLOUT_OPTIONS } from "./rollout-options.ts";
import { TARGET } from "./script-target.ts";

const around = readSurroundings();

const help: CommandOption = { help: "print this help" };
const data: CommandOption = {
  placeholder: DATA_OPTION.placeholder,
  help: "data directory of the platform",
  default: defaultText(DATA_OPTION, around) ?? "",
};

function startOptions(): Record<string, CommandOption> {
  return Object.fromEntries(
    Object.entries(START_OPTIONS).map(([name, option]) => {
      const value = defaultText(option, around);
      const { placeholder, help } = option;
      return [name, { placeholder, help, ...(value === undefined ? {} : { default: value }) }];
    }),
  );
}

export const COMMANDS: readonly Command[] = [
  {
    name: "start",
    summary: "Start a platform and stay in the foreground",
    options: { ...startOptions(), help },
    run: async (args) => (await import("./start.ts")).start(args.values, around),
  },
  {
    name: "env",
    summary: "Print the export lines with which wrangler deploys to a running platform",
    options: { data, help },
    run: async (args) => (await import("./env.ts")).env(args.values, around),
  },
  {
    name: "deploy",
    summary: "Deploy a wrangler project or a file with one module, or give it the traffic in steps",
    forms: ["DIRECTORY|FILE"],
    options: {
      data,
      namespace: {
        placeholder: "NAME",
        help: "dispatch namespace; without one it is a Worker of the account",
      },
      name: { placeholder: "NAME", help: "of the Worker, instead of that of the project or file" },
      env: { placeholder: "NAME", help: "environment of the wrangler configuration" },
      canary: { placeholder: "PERCENT", help: "start with so much of the traffic, such as 10%" },
      ...ROLLOUT_OPTIONS,
      help,
    },
    run: async (args) => (await import("./deploy.ts")).deploy(args, around),
  },
  {
    name: "rollout",
    summary: "Show, start or end the rollout of a version in steps; wait: until it ended",
    forms: [
      `status ${TARGET}`,
      `start ${TARGET} VERSION --canary PERCENT`,
      `abort ${TARGET}`,
      `promote ${TARGET}`,
      `wait ${TARGET}`,
    ],
    options: {
      data,
      canary: { placeholder: "PERCENT", help: "of start: the first step, such as 10%" },
      ...ROLLOUT_OPTIONS,
      help,
    },
    run: async (args) => (await import("./rollout.ts")).rollout(args, around),
  },
  {
    name: "versions",
    summary: "List the versions of a Worker, the newest first, and what gets its traffic",
    forms: [TARGET],
    options: { data, help },
    run: async (args) => (await import("./versions.ts")).versions(args, around),
  },
  {
    name: "deployments",
    summary: "List which versions of a Worker got its traffic, now and before",
    forms: [TARGET],
    options: { data, help },
    run: async (args) => (await import("./versions.ts")).deployments(args, around),
  },
  {
    name: "rollback",
    summary:
      "Give all traffic to the version before, or to the one that is named, with its secrets",
    forms: [`${TARGET} [VERSION]`],
    options: { data, message: { placeholder: "TEXT", help: "why, for the list" }, help },
    run: async (args) => (await import("./versions.ts")).rollback(args, around),
  },
  {
    name: "secret",
    summary: "List, set or delete secrets of a Worker; values come from standard input or a prompt",
    forms: [
      `list ${TARGET}`,
      `put ${TARGET} NAME`,
      `delete ${TARGET} NAME`,
      `bulk ${TARGET} [FILE]`,
    ],
    options: { data, help },
    run: async (args) => (await import("./secret.ts")).secret(args, around),
  },
  {
    name: "status",
    summary: "Tell whether a platform runs on a data directory",
    options: {
      data,
      wait: { help: "wait until it is ready" },
      "timeout-seconds": { placeholder: "N", help: "how long --wait waits", default: "60" },
      help,
    },
    run: async (args) => (await import("./status.ts")).status(args, around),
  },
  {
    name: "doctor",
    summary: "Tell what protects a platform on this machine, and how to get what is missing",
    options: { help },
    run: async () => (await import("./doctor.ts")).doctor(),
  },
  {
    name: "ca",
    summary: "Print where the local CA is and how to trust it",
    options: { data, help },
    run: async (args) => (await import("./ca.ts")).ca(args.values, around),
  },
  {
    name: "route",
    summary: "Manage custom routes from hosts and paths to functions, or with - to none",
    forms: ["list", "add PATTERN NAMESPACE/SCRIPT", "add PATTERN NAMESPACE/-", "remove ID"],
    options: { data, help },
    run: async (args) => (await import("./route.ts")).route(args, around),
  },
  {
    name: "zone",
    summary: "Declare domains, whose hosts routes and custom domains of Workers may name",
    forms: ["list", "add DOMAIN", "remove DOMAIN"],
    options: { data, help },
    run: async (args) => (await import("./zone.ts")).zone(args, around),
  },
  {
    name: "namespace",
    summary:
      "List dispatch namespaces, create one, say how apart its functions are kept or who gets their fetches and logs",
    forms: [
      "list",
      "create NAME",
      `isolate NAME ${[...ISOLATIONS, "default"].join("|")}`,
      "outbound NAME NAMESPACE/SCRIPT [PARAMETER ...]",
      "outbound NAME none",
      "tail NAME NAMESPACE/SCRIPT ...",
      "tail NAME none",
    ],
    options: { data, help },
    run: async (args) => (await import("./namespace.ts")).namespace(args, around),
  },
  {
    name: "limits",
    summary:
      "Show or set the limits of a namespace or a function; name= removes one; /SCRIPT: outside of namespaces",
    forms: ["NAMESPACE[/SCRIPT] [name=value ...]", "/SCRIPT [name=value ...]"],
    options: { data, help },
    run: async (args) => (await import("./limits.ts")).limits(args, around),
  },
  {
    name: "tail",
    summary:
      "Show what a function does as it does it, or all functions of a namespace; /SCRIPT: outside of namespaces",
    forms: ["NAMESPACE[/SCRIPT]", "/SCRIPT"],
    options: {
      data,
      format: {
        placeholder: "pretty|json",
        help: "for people, or an event a line",
        default: "pretty",
      },
      outcome: { placeholder: "NAME,...", help: "only these, such as exception,exceededCpu" },
      method: { placeholder: "NAME,...", help: "only requests of these methods" },
      grep: { placeholder: "TEXT", help: "only what has logged this" },
      help,
    },
    run: async (args) => (await import("./tail.ts")).tail(args, around),
  },
  {
    name: "logs",
    summary: "Search the kept logs of a function (observability.enabled in its configuration)",
    forms: [TARGET],
    options: {
      data,
      since: { placeholder: "TIME", help: "from when on, such as 15m, 1h or 2d", default: "1h" },
      until: { placeholder: "TIME", help: "until when; a time ago or an ISO 8601 time" },
      grep: { placeholder: "TEXT", help: "part of what was logged or thrown, or of the URL" },
      outcome: { placeholder: "NAME,...", help: "only these, such as exception,exceededCpu" },
      version: { placeholder: "ID", help: "of this version alone" },
      limit: { placeholder: "N", help: "at most so many, the newest", default: "100" },
      format: {
        placeholder: "pretty|json",
        help: "for people, or an event a line",
        default: "pretty",
      },
      follow: { help: "go on with what comes until Ctrl-C" },
      help,
    },
    run: async (args) => (await import("./logs.ts")).logs(args, around),
  },
  {
    name: "stats",
    summary: "Show place, requests, errors, latency and cold starts of each function",
    options: {
      data,
      namespace: { placeholder: "NAME", help: "dispatch namespace", default: "production" },
      account: { help: "Workers outside of namespaces instead" },
      since: { placeholder: "TIME", help: "from when on, such as 15m, 1h or 7d", default: "1h" },
      watch: { help: "show it again every two seconds until Ctrl-C" },
      help,
    },
    run: async (args) => (await import("./metrics-command.ts")).stats(args, around),
  },
  {
    name: "invoke",
    summary:
      "Call a function with a payload and show its response, or have that done in the background",
    forms: [TARGET],
    options: {
      data,
      payload: { placeholder: "TEXT", help: "the body of the request" },
      file: { placeholder: "FILE", help: "the same, from a file" },
      r2: { placeholder: "BUCKET/KEY", help: "the same, from an object of an R2 bucket" },
      "content-type": {
        placeholder: "TYPE",
        help: "of the payload",
        default: "application/json",
      },
      key: { placeholder: "KEY", help: "idempotency key: the same one again calls nothing" },
      event: { help: "store it, print its id, and call until it succeeds or is given up" },
      "dry-run": { help: "only check whether it could be called" },
      json: { help: "all that is known of it, as JSON" },
      help,
    },
    run: async (args) => (await import("./invoke.ts")).invoke(args, around),
  },
  {
    name: "invocations",
    summary: "List what was invoked by the API, or show one invocation with its response",
    forms: [`${TARGET} [ID]`],
    options: {
      data,
      status: { placeholder: "STATUS", help: `of this one alone: ${INVOCATION_STATES.join(", ")}` },
      limit: { placeholder: "N", help: "at most so many, the newest", default: "50" },
      json: { help: "one JSON object a line" },
      help,
    },
    run: async (args) => (await import("./invocations.ts")).invocations(args, around),
  },
  {
    name: "schedules",
    summary: "Show when a function ran and will run by its Cron Triggers, or set these",
    forms: [`list ${TARGET}`, `set ${TARGET} [CRON...]`],
    options: { data, help },
    run: async (args) => (await import("./schedules.ts")).schedules(args, around),
  },
  {
    name: "events",
    summary: "Show which processes were lost over which functions, and what followed",
    options: {
      data,
      namespace: { placeholder: "NAME", help: "dispatch namespace", default: "production" },
      account: { help: "Workers outside of namespaces instead" },
      script: { placeholder: "NAME", help: "of this function alone" },
      since: { placeholder: "TIME", help: "from when on, such as 15m, 1h or 7d" },
      limit: { placeholder: "N", help: "at most so many, the newest", default: "100" },
      help,
    },
    run: async (args) => (await import("./events.ts")).events(args, around),
  },
  {
    name: "changes",
    summary: "Call a function with changes of what it is bound to: rows, keys, objects",
    forms: [
      `list ${TARGET}`,
      `add ${TARGET} BINDING`,
      `remove ${TARGET} ID`,
      `position ${TARGET} ID POSITION`,
    ],
    options: {
      data,
      actions: { placeholder: "LIST", help: "of add: only these, such as insert,update" },
      tables: { placeholder: "LIST", help: "of add: only of these tables of a D1 database" },
      prefix: { placeholder: "TEXT", help: "of add: only of keys that begin so" },
      suffix: { placeholder: "TEXT", help: "of add: only of keys that end so" },
      help,
    },
    run: async (args) => (await import("./changes.ts")).changes(args, around),
  },
  {
    name: "token",
    summary: "List API tokens, make one for a person or a tool, give it another text, or revoke it",
    forms: [
      "list",
      "create --name NAME --permission LIST [--namespace LIST] [--expires TIME]",
      "roll ID",
      "revoke ID",
    ],
    options: {
      data,
      name: { placeholder: "NAME", help: "what the token is for" },
      permission: {
        placeholder: "LIST",
        help: `what it may: ${PERMISSIONS.join(",")}; wrangler needs read,deploy, and data for contents`,
      },
      namespace: {
        placeholder: "LIST",
        help: "to which namespaces it is limited, with commas between; without, it is for all",
      },
      expires: { placeholder: "TIME", help: "until when, such as 12h, 30d or 2030-01-31" },
      help,
    },
    run: async (args) => (await import("./token.ts")).token(args, around),
  },
  {
    name: "audit",
    summary: "Show who changed what through the API",
    options: {
      data,
      since: { placeholder: "TIME", help: "from when on, such as 15m, 1h or 7d" },
      target: { placeholder: "NAME", help: "a namespace, or a function as NAMESPACE/SCRIPT" },
      limit: { placeholder: "N", help: "at most so many, the newest", default: "100" },
      json: { help: "one JSON object a line, with the values before and after" },
      help,
    },
    run: async (args) => (await import("./audit.ts")).audit(args, around),
  },
  {
    name: "key",
    summary: "Seal all stored secrets under a new key while the platform runs",
    forms: ["rotate"],
    options: { data, help },
    run: async (args) => (await import("./key.ts")).key(args, around),
  },
  {
    name: "backup",
    summary: "Copy all that a platform keeps into a new directory, while it serves",
    forms: ["DIRECTORY"],
    options: {
      data,
      namespace: { placeholder: "NAME", help: "of this dispatch namespace alone" },
      "with-keys": { help: "with the keys of stored secrets; keep such a backup secret" },
      help,
    },
    run: async (args) => (await import("./backup.ts")).backup(args, around),
  },
  {
    name: "restore",
    summary: "Make a data directory from a backup, or only check the backup",
    forms: ["BACKUP"],
    options: {
      data,
      check: { help: "only tell whether the backup is what was written" },
      force: { help: "take the place of a directory that has data; it is kept beside" },
      help,
    },
    run: async (args) => (await import("./restore.ts")).restore(args, around),
  },
];
