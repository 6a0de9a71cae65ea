/**
 * Makes a new version the one that gets all traffic. Runs in one transaction, on top of whatever version
 * is newest at that moment: of simultaneous releases of one script each builds on the one before, and
 * the last one wins.
 */
import { resolveBindings } from "./bindings.ts";
import { Rejection } from "./failures.ts";
import { beginChange } from "./generation.ts";
import { namespaceName } from "./namespaces.ts";
import type { Release, ScriptRecord, ScriptSettings, VersionSettings } from "./records.ts";
import { findScript } from "./scripts.ts";
import { newcomer } from "./trust.ts";
import { storeTrust } from "./trust-store.ts";

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
  const before = findScript(sql, release.namespaceId, release.script);
  const code = release.code ?? before?.version.code;
  if (!code || (release.basedOnBlob !== undefined && !before)) {
    throw new Rejection({ reason: "unknown-script", namespace, script: release.script });
  }
  if (release.basedOnBlob !== undefined && before?.version.code.blob !== release.basedOnBlob) {
    throw new Rejection({ reason: "changed-meanwhile", script: release.script });
  }
  const bindings = resolveBindings(release.bindings, before?.version.bindings ?? []);
  if (!bindings.ok) throw new Rejection(bindings.failure);

  const scriptId = before?.id ?? crypto.randomUUID();
  if (before) {
    sql.exec(`UPDATE versions SET superseded_on = ? WHERE id = ?`, now, before.version.id);
  }
  storeScript(sql, scriptId, release, before, now);
  const base = before?.version.settings ?? DEFAULT_SETTINGS;
  sql.exec(
    `INSERT INTO versions (id, script_id, number, created_on, author, source, blob, code, settings, bindings, annotations)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    release.versionId,
    scriptId,
    (before?.version.number ?? 0) + 1,
    now,
    release.author,
    release.source,
    code.blob,
    JSON.stringify(code),
    JSON.stringify({ ...base, ...release.settings }),
    JSON.stringify(bindings.value),
    JSON.stringify(release.annotations),
  );
  // Trust is in the code: new settings do not make it another, and do not clear it of anything.
  const sameCode = before?.version.code.blob === code.blob;
  storeTrust(sql, release.versionId, before && sameCode ? before.trust : newcomer(now));
  sql.exec(`DELETE FROM uploads WHERE version_id = ?`, release.versionId);
  const change = beginChange(sql);
  change.script(namespace, release.script, true);
  return change.generation;
}

function storeScript(
  sql: SqlStorage,
  scriptId: string,
  release: Release,
  before: ScriptRecord | null,
  now: number,
): void {
  const deploymentId = crypto.randomUUID();
  const settings = { ...(before?.settings ?? DEFAULT_SCRIPT_SETTINGS), ...release.scriptSettings };
  sql.exec(
    `INSERT INTO scripts (id, namespace_id, name, version_id, deployment_id, tags, logpush, observability,
       workers_dev, previews, tail_consumers, created_on, modified_on)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET version_id = excluded.version_id, deployment_id = excluded.deployment_id,
       tags = excluded.tags, logpush = excluded.logpush, observability = excluded.observability,
       workers_dev = excluded.workers_dev, previews = excluded.previews,
       tail_consumers = excluded.tail_consumers, modified_on = excluded.modified_on`,
    scriptId,
    release.namespaceId,
    release.script,
    release.versionId,
    deploymentId,
    JSON.stringify(settings.tags),
    Number(settings.logpush),
    settings.observability && JSON.stringify(settings.observability),
    Number(settings.workersDev),
    Number(settings.previews),
    JSON.stringify(settings.tailConsumers),
    now,
    now,
  );
  sql.exec(
    `INSERT INTO deployments (id, script_id, created_on, author, source, shares, annotations) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    deploymentId,
    scriptId,
    now,
    release.author,
    release.source,
    JSON.stringify([{ versionId: release.versionId, percentage: 100 }]),
    JSON.stringify(release.annotations),
  );
}

/** What a release would bind if it were applied now, for its trial. */
export function previewBindings(
  sql: SqlStorage,
  namespaceId: string,
  script: string,
  change: Release["bindings"],
) {
  return resolveBindings(change, findScript(sql, namespaceId, script)?.version.bindings ?? []);
}
