/** The commands of `skep`, in the order of its help. */
import { availableParallelism } from "node:os";
import { DATA_OPTION, defaultText, START_OPTIONS } from "../supervisor/config.ts";
import type { Command, CommandOption } from "./command.ts";

const around = { workingDirectory: process.cwd(), cores: availableParallelism() };

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
    name: "stats",
    summary: "Show requests, errors, latency and cold starts of each function",
    options: {
      data,
      namespace: { placeholder: "NAME", help: "dispatch namespace", default: "production" },
      since: { placeholder: "TIME", help: "from when on, such as 15m, 1h or 7d", default: "1h" },
      watch: { help: "show it again every two seconds until Ctrl-C" },
      help,
    },
    run: async (args) => (await import("./metrics-command.ts")).stats(args, around),
  },
];
