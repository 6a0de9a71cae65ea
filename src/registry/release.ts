/**
 * Adds a new version, and makes it the one that gets all traffic unless it is only uploaded. Runs in one
 * transaction, on top of whatever version is newest at that moment, deployed or not: of simultaneous releases of
 * one script each builds on the one before, and the last one wins.
 */
import { resolveBindings } from "./bindings.ts";
import { putInForce } from "./deployments.ts";
import { Rejection } from "./failures.ts";
import { beginChange } from "./generation.ts";
import { dispatchNamespaceName, namespaceName, unknownScript } from "./namespaces.ts";
import { touchAlias } from "./previews.ts";
import { releaseClasses, transferredFrom } from "./object-classes.ts";
import type { Release, ScriptRecord, ScriptSettings, VersionSettings } from "./records.ts";
import { refuseRetiredKeys } from "./reseal.ts";
import { findNewest } from "./scripts.ts";
import { newcomer } from "./trust.ts";
import { bindWorkflows } from "./workflows.ts";
import { findTrustOfCode, storeTrust } from "./trust-store.ts";

/** What Cloudflare runs a Worker with that names no compatibility date: the day dates came. */
const DEFAULT_SETTINGS: VersionSettings = {
  compatibilityDate: "2021-11-02",
  compatibilityFlags: [],
  limits: null,
  placement: null,
};

const DEFAULT_SCRIPT_SETTINGS: ScriptSettings = {
  tags: [],
  logpush: false,
  observability: null,
  workersDev: true,
  previews: true,
  tailConsumers: [],
};

/** Call in a transaction, with the blob of `release.code` stored. Returns the generation. */
export function applyRelease(sql: SqlStorage, release: Release, now: number): number {
  const namespace = namespaceName(sql, release.namespaceId);
  const before = findNewest(sql, release.namespaceId, release.script);
  const code = release.code ?? before?.version.code;
  const keepsCode = release.code === null || release.basedOnBlob !== undefined;
  if (!code || (!before && (keepsCode || !release.deploy))) {
    throw unknownScript(sql, release.namespaceId, release.script);
  }
  if (release.basedOnBlob !== undefined && before?.version.code.blob !== release.basedOnBlob) {
    throw new Rejection({ reason: "changed-meanwhile", script: release.script });
  }
  const keepsPart = keepsCode || release.keepsSettings === true;
  if (before && keepsPart && release.deploy) refuseUndeployed(sql, before);
  const bindings = resolveBindings(release.bindings, before?.version.bindings ?? []);
  if (!bindings.ok) throw new Rejection(bindings.failure);
  refuseRetiredKeys(sql, release.script, bindings.value);

  const scriptId = before?.id ?? crypto.randomUUID();
  storeScript(sql, scriptId, release, before, now);
  const owner = { id: scriptId, namespaceId: release.namespaceId, name: release.script };
  const own = bindWorkflows(release.script, bindings.value);
  const bound = releaseClasses(sql, owner, release.classes, code.exports, own, now);
  const base = before?.version.settings ?? DEFAULT_SETTINGS;
  const assets = release.assets === undefined ? (before?.version.assets ?? null) : release.assets;
  sql.exec(
    `INSERT INTO versions (id, script_id, number, created_on, superseded_on, author, source, blob, code, settings, bindings, annotations, assets)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    release.versionId,
    scriptId,
    (before?.version.number ?? 0) + 1,
    now,
    now,
    release.author,
    release.source,
    code.blob,
    JSON.stringify(code),
    JSON.stringify({ ...base, ...release.settings }),
    JSON.stringify(bound),
    JSON.stringify(release.annotations),
    assets && JSON.stringify(assets),
  );
  // Trust is in the code: new settings do not make it another, and do not clear it of anything.
  const trust = findTrustOfCode(sql, scriptId, code.blob, release.versionId) ?? newcomer(now);
  storeTrust(sql, release.versionId, trust);
  sql.exec(`DELETE FROM uploads WHERE version_id = ?`, release.versionId);
  const change = beginChange(sql);
  if (release.deploy) {
    const { annotations, author, source, versionId } = release;
    const shares = [{ versionId, percentage: 100 }];
    putInForce(sql, scriptId, { shares, annotations, author, source }, now);
    change.script(namespace, release.script, true);
  }
  // Who gave a class away may have none left, and so another place.
  for (const giver of transferredFrom(release.classes)) change.script(namespace, giver);
  touchAlias(change, namespace, release);
  return change.generation;
}

/** It must get all traffic: what keeps its code, or its settings, would bring them into force. */
function refuseUndeployed(
  sql: SqlStorage,
  { namespaceId, name, version, deployment }: ScriptRecord,
): void {
  const [share, ...others] = deployment.shares;
  if (share?.versionId === version.id && others.length === 0) return;
  const namespace = dispatchNamespaceName(sql, namespaceId);
  const versionId = version.id;
  throw new Rejection({ reason: "newest-not-deployed", namespace, script: name, versionId });
}

/** What is not versioned changes with a deploy only. */
function storeScript(
  sql: SqlStorage,
  scriptId: string,
  release: Release,
  before: ScriptRecord | null,
  now: number,
): void {
  if (!release.deploy) return;
  const settings = { ...(before?.settings ?? DEFAULT_SCRIPT_SETTINGS), ...release.scriptSettings };
  sql.exec(
    `INSERT INTO scripts (id, namespace_id, name, version_id, tags, logpush, observability,
       workers_dev, previews, tail_consumers, created_on, modified_on)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET
       tags = excluded.tags, logpush = excluded.logpush, observability = excluded.observability,
       workers_dev = excluded.workers_dev, previews = excluded.previews,
       tail_consumers = excluded.tail_consumers`,
    scriptId,
    release.namespaceId,
    release.script,
    release.versionId,
    JSON.stringify(settings.tags),
    Number(settings.logpush),
    settings.observability && JSON.stringify(settings.observability),
    Number(settings.workersDev),
    Number(settings.previews),
    JSON.stringify(settings.tailConsumers),
    now,
    now,
  );
}

/** What a release would bind if it were applied now, for its trial. */
export function previewBindings(
  sql: SqlStorage,
  namespaceId: string,
  script: string,
  change: Release["bindings"],
) {
  return resolveBindings(change, findNewest(sql, namespaceId, script)?.version.bindings ?? []);
}
