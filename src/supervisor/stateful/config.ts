/**
 * The workerd configuration of a stateful cell: the gate (src/cell/stateful.ts) and the script itself, as a Worker with
 * the runtime's own bindings. Whatever those lead to is an entrypoint of the gate, so that it counts, grants and marks
 * what the script does as it would for an isolate of a loader.
 *
 * Secrets stand in the text. It is read once: whoever starts the process removes the file when that is ready.
 */
import { join, relative } from "node:path";
import type { BindingValue, Bundle, BundleModule, EnvValue } from "../../protocol/bundle.ts";
import { objectsBinding, START, startFlags, type StatefulGate } from "../../protocol/stateful.ts";
import {
  instancesBinding,
  instancesKey,
  workflowBinding,
  type Workflow,
} from "../../protocol/workflows.ts";
import { Embed, type CapnpValue } from "../capnp-text.ts";
import { socketNames } from "../socket-names.ts";
import {
  config,
  esModule,
  NO_NETWORK,
  noNetwork,
  PROXY,
  unix,
  unixSocket,
  worker,
  type ConfigPaths,
  type ConfigText,
} from "../workerd-config.ts";

export interface StatefulSettings {
  readonly gate: StatefulGate;
  /** Hex. */
  readonly ledgerKey: string;
  /** As the hub prepared it: its main module is the start module. With grants. */
  readonly bundle: Bundle;
  /** Absolute path: where the objects lie. */
  readonly objects: string;
  /** Absolute path of the directory that has the modules' contents, by moduleFile(index). */
  readonly modules: string;
}

/** Name of the gate's service, of the script's, and of the engine's of its Workflows. */
const GATE = "cell";
const FUNCTION = "function";
const ENGINE = "workflows";

export function moduleFile(index: number): string {
  return `${index}.module`;
}

export function statefulConfig(paths: ConfigPaths, settings: StatefulSettings): ConfigText {
  const { gate, ledgerKey, bundle, objects } = settings;
  const { life, classes, workflows = [] } = gate;
  return config({
    services: [
      worker(GATE, {
        modules: [esModule(paths, "stateful.js", `${paths.workers}/stateful.js`)],
        bindings: [
          { name: "FUNCTION", service: FUNCTION },
          { name: "START", service: { name: FUNCTION, entrypoint: START } },
          { name: "EGRESS", service: "egress" },
          { name: "STORE", service: "store" },
          { name: "DATABASES", service: "databases" },
          { name: "LEDGER_KEY", text: ledgerKey },
          { name: "CELL", json: JSON.stringify(gate) },
          ...classes.map(({ key, className }) => ({
            name: objectsBinding(key),
            durableObjectNamespace: { className, serviceName: FUNCTION },
          })),
          ...workflows.flatMap(({ name }) => [
            { name: workflowBinding(name), service: throughEngine(name) },
            { name: instancesBinding(name), durableObjectNamespace: instancesOf(name) },
          ]),
        ],
        globalOutbound: NO_NETWORK,
      }),
      { name: FUNCTION, worker: functionWorker(paths, settings) },
      ...(workflows.length > 0 ? [engine(paths, workflows, bundle)] : []),
      { name: "objects", disk: { path: objects, writable: true } },
      unix("egress", socketNames.egress, PROXY),
      unix("store", socketNames.store, PROXY),
      unix("databases", socketNames.databases, PROXY),
      noNetwork(),
    ],
    sockets: [
      unixSocket(socketNames.cellLife(life), { name: GATE }, PROXY),
      unixSocket(socketNames.cellControl(life), { name: GATE, entrypoint: "CellControl" }),
    ],
  });

  function functionWorker(
    { run }: ConfigPaths,
    { modules }: StatefulSettings,
  ): Record<string, CapnpValue> {
    const caller = callerOf(gate);
    return {
      modules: orderedModules(bundle).map(({ module, index }) => ({
        name: plainName(module.name),
        [MODULE_FIELDS[module.type as keyof typeof MODULE_FIELDS]]: new Embed(
          relative(run, join(modules, moduleFile(index))),
        ),
      })),
      compatibilityDate: bundle.compatibilityDate,
      compatibilityFlags: [
        ...new Set([...bundle.compatibilityFlags, ...startFlags(bundle.compatibilityDate)]),
      ],
      bindings: Object.entries(bundle.env).flatMap(([name, value]) => {
        const binding = bindingOf(value, caller, gate);
        return binding === undefined ? [] : [{ name, ...binding }];
      }),
      durableObjectNamespaces: classes.map(({ key, className }) => ({
        className,
        uniqueKey: key,
        enableSql: true,
      })),
      durableObjectStorage: { localDisk: "objects" },
      ...(workflows.length > 0 && {
        workflowsEngine: {
          actorClass: { name: ENGINE, entrypoint: "Engine" },
          workflows: workflows.map(({ name, className }) => ({
            className,
            name,
            bindingService: throughEngine(name),
          })),
        },
      }),
      globalOutbound: {
        name: GATE,
        entrypoint: "Outbound",
        props: { json: JSON.stringify(caller) },
      },
      tails: [{ name: GATE, entrypoint: "Tail" }],
    };
  }
}

/** The module's header says what it takes. */
function engine(paths: ConfigPaths, workflows: readonly Workflow[], bundle: Bundle) {
  const of = workflows.map(({ name, settings }) => [name, settings]);
  return worker(ENGINE, {
    modules: [
      esModule(paths, "workflows.js", `${paths.workers}/workflows.js`),
      { name: "workflows-engine", bundled: "/workerd/workflows.js" },
    ],
    compatibilityFlags: ["experimental", ...flagsOf(bundle)],
    bindings: [
      ...workflows.map(({ name }) => ({
        name: `workflow:${name}`,
        durableObjectNamespace: instancesOf(name),
      })),
      { name: "WORKFLOWS", json: JSON.stringify(Object.fromEntries(of)) },
      { name: "STEPS", service: { name: GATE, entrypoint: "Steps" } },
    ],
    durableObjectStorage: { localDisk: "objects" },
    globalOutbound: NO_NETWORK,
  });
}

/** How the engine names errors that end an instance is for the date of the script to say. */
function flagsOf({ compatibilityDate, compatibilityFlags }: Bundle): string[] {
  const replace = "workflows_replace_non_retryable_error_message";
  const isNew =
    compatibilityDate >= PRESERVE_DATE ||
    compatibilityFlags.includes("workflows_preserve_non_retryable_error_message");
  return isNew && !compatibilityFlags.includes(replace) ? [] : [replace];
}

const PRESERVE_DATE = "2026-05-14";

function throughEngine(workflow: string) {
  const props = { json: JSON.stringify({ workflow }) };
  return { name: ENGINE, entrypoint: "WorkflowBinding", props };
}

function instancesOf(workflow: string) {
  return { className: instancesKey(workflow), serviceName: FUNCTION };
}

const MODULE_FIELDS = {
  esm: "esModule",
  cjs: "commonJsModule",
  text: "text",
  data: "data",
  wasm: "wasm",
} as const;

/** The runtime starts from the first one, and has no use for source maps. */
function orderedModules({
  modules,
  mainModule,
}: Bundle): { module: BundleModule; index: number }[] {
  const used = modules
    .map((module, index) => ({ module, index }))
    .filter(({ module }) => module.type !== "source-map");
  const main = used.filter(({ module }) => module.name === mainModule);
  return [...main, ...used.filter(({ module }) => module.name !== mainModule)];
}

/** The runtime resolves `./x` against the importing module's path, so names are kept without `./`. */
function plainName(name: string): string {
  return name.replace(/^(\.\/)+/, "");
}

/** What stands in the props of the gate's entrypoints (src/cell/bindings.ts). */
interface Caller {
  readonly namespace: string;
  readonly script: string;
  readonly isolate: string;
}

function callerOf({ namespace, script, versionId }: StatefulGate): Caller {
  return { namespace, script, isolate: versionId };
}

/** Entrypoints of the gate, where a stub is what the function gets, or a shim makes its binding of one. */
const ENTRYPOINTS = {
  service: "SkepService",
  "dispatch-namespace": "SkepDispatcher",
  "rate-limit": "SkepRateLimit",
  analytics: "SkepAnalytics",
  assets: "SkepAssets",
  "durable-object-namespace": "SkepObjects",
} as const;

/** undefined: a part of service-worker syntax, which stateful scripts do not have, or a Workflow that does not run. */
function bindingOf(
  value: EnvValue,
  caller: Caller,
  { classes, workflows = [] }: Pick<StatefulGate, "classes" | "workflows">,
): Record<string, CapnpValue> | undefined {
  const through = (entrypoint: string, bound: BindingValue) => ({
    name: GATE,
    entrypoint,
    props: { json: JSON.stringify({ caller, value: bound }) },
  });
  switch (value.type) {
    case "value":
      return typeof value.value === "string"
        ? { text: value.value }
        : { json: JSON.stringify(value.value) };
    case "module":
      return undefined;
    case "workflow": {
      if (!workflows.some(({ name }) => name === value.workflow)) return undefined;
      const innerBindings = [{ name: "fetcher", service: throughEngine(value.workflow) }];
      return { wrapped: { moduleName: "cloudflare-internal:workflows-api", innerBindings } };
    }
    case "kv":
      return { kvNamespace: through("SkepStore", value) };
    case "r2":
      return { r2Bucket: through("SkepStore", value) };
    case "queue":
      return { queue: through("SkepStore", value) };
    case "d1": {
      const innerBindings = [{ name: "fetcher", service: through("SkepStore", value) }];
      return { wrapped: { moduleName: "cloudflare-internal:d1-api", innerBindings } };
    }
    case "durable-object-namespace": {
      const own = classes.find(({ key }) => key === value.key);
      if (own !== undefined) return { durableObjectNamespace: { className: own.className } };
      return { service: through(ENTRYPOINTS[value.type], value) };
    }
    case "service":
    case "dispatch-namespace":
    case "rate-limit":
    case "analytics":
    case "assets":
      return { service: through(ENTRYPOINTS[value.type], value) };
  }
}
