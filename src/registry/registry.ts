/**
 * The Registry: one Durable Object with everything that is deployed, and the only writer of it. This class
 * is its RPC surface; what happens is in the file of each thing. Every change is one SQLite transaction
 * together with its generation; `settle` then brings it to the edges. Arguments and results are plain
 * data. Secrets come in and go out sealed: their key is not known here, except within `tryStart`.
 */
import { DurableObject } from "cloudflare:workers";
import type { Bundle } from "../protocol/bundle.ts";
import type { Bootstrap } from "../protocol/hub.ts";
import type { CellRequest, Incident } from "../protocol/incident.ts";
import type { InvocationSettings } from "../protocol/invocations.ts";
import type { LimitSettings } from "../protocol/limits.ts";
import type { ObjectOwner } from "../protocol/objects.ts";
import type { PlaceKind } from "../protocol/placement.ts";
import type { Route, RoutesState, ScriptState } from "../protocol/routing.ts";
import type { WorkflowSettings } from "../protocol/workflows.ts";
import * as accounts from "./accounts.ts";
import {
  listAudit,
  recordAudit,
  type AuditPage,
  type AuditQuery,
  type NewAuditEntry,
} from "./audit.ts";
import * as assets from "./assets.ts";
import { loadCode } from "./blobs.ts";
import * as changeFeeds from "./change-feeds.ts";
import { CleanRuns, type Observation } from "./clean-runs.ts";
import { Delivery } from "./delivery.ts";
import { applyDeployment, deleteDeployment, listDeployments } from "./deployments.ts";
import type { RegistryEnv } from "./env.ts";
import { listEvents, type EventQuery, type EventRecord } from "./events.ts";
import { expected, Rejection, type Outcome } from "./failures.ts";
import { currentGeneration, pendingChanges } from "./generation.ts";
import * as namespaces from "./namespaces.ts";
import type {
  BindingChange,
  DeploymentChange,
  DeploymentRecord,
  NamespaceRecord,
  PlacementRecord,
  Release,
  ScriptRecord,
  ScriptSettings,
  ScriptSummary,
  Stored,
  StoredBinding,
  TokenRecord,
  VersionInPlace,
  VersionRecord,
  VersionSummary,
} from "./records.ts";
import * as objectClasses from "./object-classes.ts";
import { ObjectDelivery } from "./object-delivery.ts";
import { rememberPreview } from "./previews.ts";
import * as queues from "./queues.ts";
import { applyRelease, previewBindings } from "./release.ts";
import { failure, success } from "./result.ts";
import {
  applyResealed,
  listSealedOtherwise,
  neededKeys,
  retireAllKeysBut,
  type ResealedVersion,
  type SealedVersion,
} from "./reseal.ts";
import { RolloutWatch } from "./rollout-watch.ts";
import { nextLookMs, type RolloutRecord } from "./rollout-store.ts";
import * as rollouts from "./rollouts.ts";
import * as routes from "./routes.ts";
import * as resources from "./resources.ts";
import type { ResourceRecord } from "./resources.ts";
import { migrate } from "./schema.ts";
import { cellRequest, scriptState } from "./script-state.ts";
import * as scriptEvents from "./script-events.ts";
import type { ScriptEvents } from "./script-events.ts";
import * as scripts from "./scripts.ts";
import { takeSnapshot, type Facts, type Subject } from "./snapshot.ts";
import { applyConduct, applyIncident } from "./standing.ts";
import { StoreDelivery } from "./store-delivery.ts";
import { BlobKeeper } from "./sweep.ts";
import * as tokens from "./tokens.ts";
import { TrialQueue, type Trial } from "./trials.ts";
import { derivePlace } from "./trust.ts";
import * as tracing from "./tracing.ts";
import { trustChanges } from "./trust-store.ts";
import * as users from "./users.ts";
import { listVersions, requireVersion } from "./versions.ts";
import * as zoneRoutes from "./zone-routes.ts";
import type { ZoneRoute } from "./zone-routes.ts";
import * as workflows from "./workflows.ts";
import * as zones from "./zones.ts";

/** How soon after a change the alarm looks whether the edges were told. */
const BACKSTOP_MS = 2_000;
/** A sweep looks at every blob, so it does not come with every alarm. What it finds was superseded a minute ago. */
const SWEEP_MS = 61_000;

export class Registry extends DurableObject<RegistryEnv> {
  readonly #sql: SqlStorage;
  readonly #blobs: BlobKeeper;
  readonly #trials: TrialQueue;
  readonly #delivery: Delivery;
  readonly #storeDelivery: StoreDelivery;
  readonly #objectDelivery: ObjectDelivery;
  readonly #rollouts: RolloutWatch;
  readonly #runs = new CleanRuns();
  /** null: none, or one of an earlier life that may be pushed back once. */
  #alarmAt: number | null = null;
  /** null: there is nothing to sweep. At first nobody knows. */
  #sweepAt: number | null = 0;

  constructor(ctx: DurableObjectState, env: RegistryEnv) {
    super(ctx, env);
    this.#sql = ctx.storage.sql;
    migrate(ctx.storage);
    this.#blobs = new BlobKeeper(this.#sql, env.BLOBS);
    this.#trials = new TrialQueue(env.TRIAL, env.SUPERVISOR);
    this.#delivery = new Delivery(this.#sql, env.SUPERVISOR, env.PLATFORM);
    this.#storeDelivery = new StoreDelivery(this.#sql, env.STORE);
    this.#objectDelivery = new ObjectDelivery(this.#sql, env.SUPERVISOR);
    this.#rollouts = new RolloutWatch(this.#sql, env.FUNCTION_METRICS, env.PLATFORM.isolation);
    this.#wakeForRollouts();
    const pending = pendingChanges(this.#sql);
    if (
      pending.routes ||
      pending.scripts.length > 0 ||
      this.#storeDelivery.hasPending ||
      this.#objectDelivery.hasPending
    ) {
      this.#wakeWithin(0);
    }
  }

  // Accounts and tokens

  bootstrap(wanted: Bootstrap): { created: boolean } {
    return this.ctx.storage.transactionSync(() =>
      accounts.bootstrap(this.#sql, wanted, Date.now()),
    );
  }

  authenticate(tokenHash: string): Outcome<TokenRecord> {
    return accounts.authenticate(this.#sql, tokenHash, Date.now());
  }

  credentials(tokenId: string): Outcome<accounts.Credentials> {
    return accounts.credentials(this.#sql, tokenId, Date.now());
  }

  tokens(accountId: string): TokenRecord[] {
    return tokens.listTokens(this.#sql, accountId);
  }

  token(accountId: string, id: string): Outcome<TokenRecord> {
    return tokens.findToken(this.#sql, accountId, id);
  }

  createToken(token: tokens.NewToken): Outcome<TokenRecord> {
    return this.#write(() => tokens.createToken(this.#sql, token, Date.now()));
  }

  /** From here on it is the token with this hash alone. */
  rollToken(accountId: string, id: string, hash: string): Outcome<TokenRecord> {
    return this.#write(() => tokens.rollToken(this.#sql, accountId, id, hash));
  }

  deleteToken(accountId: string, id: string): Outcome<null> {
    return this.#write(() => tokens.deleteToken(this.#sql, accountId, id));
  }

  noteTokenUse(id: string): void {
    tokens.noteTokenUse(this.#sql, id, Date.now());
  }

  // What the API changed

  /** For the audit log: what is now at `subject`, as flat facts with secrets still sealed. null: nothing. */
  snapshot(accountId: string, subject: Subject): Facts | null {
    return takeSnapshot(this.#sql, accountId, subject);
  }

  recordAudit(entry: NewAuditEntry): void {
    recordAudit(this.#sql, entry, Date.now());
  }

  audit(accountId: string, query: AuditQuery): AuditPage {
    return listAudit(this.#sql, accountId, query);
  }

  // Secrets under another key

  sealedOtherwise(keyId: string, after: string): SealedVersion[] {
    return listSealedOtherwise(this.#sql, keyId, after);
  }

  reseal(changes: readonly ResealedVersion[]): void {
    this.ctx.storage.transactionSync(() => applyResealed(this.#sql, changes));
  }

  /** False: a secret is still sealed otherwise. True: no secret is, nor will be. */
  retireAllKeysBut(keyId: string, others: readonly string[]): boolean {
    return this.ctx.storage.transactionSync(() => retireAllKeysBut(this.#sql, keyId, others));
  }

  /** Ids of the keys without which something stored cannot be read; null stands for one without id. */
  neededKeys(): (string | null)[] {
    return neededKeys(this.#sql);
  }

  // Namespaces

  namespaces(accountId: string): NamespaceRecord[] {
    return namespaces.listNamespaces(this.#sql, accountId);
  }

  namespaceNames(): string[] {
    return namespaces.allNamespaceNames(this.#sql);
  }

  /** Of any account; null: there is no such namespace. */
  namespaceId(name: string): string | null {
    return namespaces.findNamespaceId(this.#sql, name);
  }

  namespace(accountId: string, name: string): Outcome<NamespaceRecord> {
    return namespaces.findNamespace(this.#sql, accountId, name);
  }

  accountNamespace(accountId: string): NamespaceRecord {
    return namespaces.accountNamespace(this.#sql, accountId);
  }

  createNamespace(accountId: string, name: string, author: string): Outcome<NamespaceRecord> {
    return this.#write(() => {
      namespaces.insertNamespace(this.#sql, accountId, name, author, Date.now());
      return namespaces.findNamespace(this.#sql, accountId, name);
    });
  }

  updateNamespace(
    accountId: string,
    name: string,
    patch: namespaces.NamespacePatch,
    author: string,
  ): Outcome<Stored<NamespaceRecord>> {
    return this.#write(() => {
      const found = namespaces.findNamespace(this.#sql, accountId, name);
      if (!found.ok) return found;
      const now = Date.now();
      const generation = namespaces.updateNamespace(
        this.#sql,
        accountId,
        found.value,
        patch,
        author,
        now,
      );
      if (patch.name !== undefined) tokens.followNamespace(this.#sql, accountId, name, patch.name);
      const updated = namespaces.findNamespace(this.#sql, accountId, patch.name ?? name);
      if (!updated.ok) return updated;
      return success({ value: updated.value, generation: generation ?? 0 });
    });
  }

  deleteNamespace(accountId: string, name: string): Outcome<Stored<null>> {
    return this.#write(() => {
      const found = namespaces.findNamespace(this.#sql, accountId, name);
      if (!found.ok) return found;
      const generation = namespaces.deleteNamespace(this.#sql, found.value);
      tokens.followNamespace(this.#sql, accountId, name, null);
      return success({ value: null, generation });
    });
  }

  // Scripts and versions

  scripts(namespaceId: string): ScriptSummary[] {
    return scripts.listScripts(this.#sql, namespaceId);
  }

  script(namespaceId: string, script: string): Outcome<ScriptRecord> {
    return expected(() => success(scripts.requireScript(this.#sql, namespaceId, script)));
  }

  /** Every function of the platform, for metrics. */
  functions(): { namespaceId: string; namespace: string; script: string; place: PlaceKind }[] {
    const { isolation: platform } = this.env.PLATFORM;
    return scripts.listFunctions(this.#sql).map(({ trust, isolation, ...name }) => {
      return { ...name, place: derivePlace(trust, isolation ?? platform).kind };
    });
  }

  version(versionId: string): Outcome<VersionInPlace> {
    const found = scripts.findVersion(this.#sql, versionId);
    return found ? success(found) : failure({ reason: "unknown-version", versionId });
  }

  previewBindings(
    namespaceId: string,
    script: string,
    change: BindingChange,
  ): Outcome<readonly StoredBinding[]> {
    return previewBindings(this.#sql, namespaceId, script, change);
  }

  /** Before a blob is written. Pairs with `release` or `abandon`. */
  async holdBlob(versionId: string, blob: string): Promise<void> {
    await this.#blobs.hold(versionId, blob, Date.now());
  }

  abandon(versionId: string): void {
    this.#blobs.release(versionId);
    this.#sweepWithin(SWEEP_MS);
  }

  /** Whether the code in `blob`, which is stored, starts as this version with this `env`. */
  async tryStart(
    blob: string,
    version: Omit<Bundle, "modules" | "syntax" | "mainModule">,
  ): Promise<Outcome<Trial>> {
    return this.#trials.run({ ...version, ...(await loadCode(this.env.BLOBS, blob)) });
  }

  /** As `script`, with the version that was uploaded last, deployed or not, as its version. */
  newest(namespaceId: string, script: string): Outcome<ScriptRecord> {
    return expected(() => {
      const found = scripts.findNewest(this.#sql, namespaceId, script);
      return success(found ?? scripts.requireScript(this.#sql, namespaceId, script));
    });
  }

  /** Newest first; none of a script that there is not. */
  versions(namespaceId: string, script: string): VersionSummary[] {
    return listVersions(this.#sql, namespaceId, script);
  }

  scriptVersion(namespaceId: string, script: string, versionId: string): Outcome<VersionRecord> {
    return expected(() => success(requireVersion(this.#sql, namespaceId, script, versionId)));
  }

  /** Newest first, the first is in force; none of a script that there is not. */
  deployments(namespaceId: string, script: string): DeploymentRecord[] {
    return listDeployments(this.#sql, namespaceId, script);
  }

  /** Gives the traffic of a script to versions that were uploaded before. */
  deploy(
    namespaceId: string,
    script: string,
    deployment: DeploymentChange,
  ): Outcome<Stored<DeploymentRecord>> {
    return this.#write(() => {
      const found = scripts.requireScript(this.#sql, namespaceId, script);
      const generation = applyDeployment(this.#sql, found, deployment, Date.now());
      const { deployment: value } = scripts.requireScript(this.#sql, namespaceId, script);
      return success({ value, generation });
    });
  }

  deleteDeployment(namespaceId: string, script: string, id: string): Outcome<null> {
    return this.#write(() => {
      deleteDeployment(this.#sql, scripts.requireScript(this.#sql, namespaceId, script), id);
      return success();
    });
  }

  /**
   * Commits an upload. Unless it is no deploy, the version gets all traffic from here on. The record has it as its
   * version in either case.
   */
  release(release: Release): Outcome<Stored<ScriptRecord>> {
    return this.#write(() => {
      tracing.refuseBadConsumers(this.#sql, release.namespaceId, release.scriptSettings);
      const generation = applyRelease(this.#sql, release, Date.now());
      const value = scripts.findNewest(this.#sql, release.namespaceId, release.script);
      if (!value) throw new Error(`${release.script} was released, but is not there`);
      return success({ value, generation });
    });
  }

  updateScript(
    namespaceId: string,
    script: string,
    patch: Partial<ScriptSettings>,
  ): Outcome<Stored<ScriptRecord>> {
    return this.#write(() => {
      const found = scripts.requireScript(this.#sql, namespaceId, script);
      tracing.refuseBadConsumers(this.#sql, namespaceId, patch);
      const generation = scripts.updateScript(this.#sql, found, patch, Date.now());
      const value = scripts.requireScript(this.#sql, namespaceId, script);
      return success({ value, generation });
    });
  }

  /** Adds and removes single tags, so that simultaneous changes do not undo each other. */
  editTags(
    namespaceId: string,
    script: string,
    edit: { add?: string; remove?: string; max: number },
  ): Outcome<readonly string[]> {
    return this.#write(() => {
      const found = scripts.requireScript(this.#sql, namespaceId, script);
      const tags = new Set(found.settings.tags);
      if (edit.add !== undefined) tags.add(edit.add);
      if (edit.remove !== undefined) tags.delete(edit.remove);
      if (tags.size > edit.max) {
        return failure({ reason: "too-many-tags", got: tags.size, max: edit.max });
      }
      scripts.updateScript(this.#sql, found, { tags: [...tags] }, Date.now());
      return success([...tags]);
    });
  }

  /** Which Workers of the account would miss this one, and how. */
  users(namespaceId: string, script: string): users.Users {
    return users.findUsers(this.#sql, namespaceId, script);
  }

  /** Names of the account's tokens by their ids, for people. */
  tokenNames(accountId: string): Record<string, string> {
    return accounts.tokenNames(this.#sql, accountId);
  }

  /** `isForced`: others may be bound to its Durable Objects. */
  deleteScript(namespaceId: string, script: string, isForced: boolean): Outcome<Stored<null>> {
    return this.#write(() => {
      const found = scripts.requireScript(this.#sql, namespaceId, script);
      if (!isForced) objectClasses.refuseInUse(this.#sql, found);
      return success({ value: null, generation: scripts.deleteScripts(this.#sql, [found]) });
    });
  }

  /** Deletes those of `names` that are still there; returns them. */
  deleteScripts(namespaceId: string, names: readonly string[]): Outcome<Stored<string[]>> {
    return this.#write(() => {
      const found = names.flatMap((name) => scripts.findScript(this.#sql, namespaceId, name) ?? []);
      const generation = scripts.deleteScripts(this.#sql, found);
      return success({ value: found.map(({ name }) => name), generation });
    });
  }

  // Static assets

  /** Pairs with `holdBlob(holdId, session.blob)`, as the other two that store do with theirs. */
  openAssetSession(
    session: assets.AssetSession,
    claims: readonly assets.AssetClaim[],
    holdId: string,
  ): Outcome<assets.AssetClaim[]> {
    return this.#write(() => {
      const missing = assets.openSession(this.#sql, session, claims);
      this.#blobs.release(holdId);
      return success(missing);
    });
  }

  assetClaims(sessionId: string, hashes: readonly string[]): Outcome<assets.AssetClaim[]> {
    return expected(() => {
      assets.requireSession(this.#sql, sessionId, Date.now());
      return success(assets.claimsOn(this.#sql, sessionId, hashes));
    });
  }

  async holdBlobs(holds: readonly { readonly id: string; readonly blob: string }[]): Promise<void> {
    for (const { id, blob } of holds) await this.#blobs.hold(id, blob, Date.now());
  }

  /** Returns how many contents the session still lacks. */
  storeAssets(
    sessionId: string,
    stored: readonly assets.StoredAsset[],
    holdIds: readonly string[],
  ): Outcome<number> {
    return this.#write(() => {
      const now = Date.now();
      const session = assets.requireSession(this.#sql, sessionId, now);
      const missing = assets.storeAssets(this.#sql, session, stored, now);
      for (const id of holdIds) this.#blobs.release(id);
      return success(missing);
    });
  }

  /** The blob with the claimed manifest, and all contents that it names. */
  finishedAssets(
    sessionId: string,
  ): Outcome<{ readonly blob: string; readonly assets: assets.StoredAsset[] }> {
    return expected(() => {
      const { blob } = assets.requireSession(this.#sql, sessionId, Date.now());
      return success({ blob, assets: assets.sessionAssets(this.#sql, sessionId) });
    });
  }

  addAssetManifest(
    namespaceId: string,
    blob: string,
    hashes: readonly string[],
    holdId: string,
  ): Outcome<null> {
    return this.#write(() => {
      assets.addManifest(this.#sql, namespaceId, blob, hashes, Date.now());
      this.#blobs.release(holdId);
      return success(null);
    });
  }

  // Rollouts

  startRollout(
    namespaceId: string,
    script: string,
    request: rollouts.RolloutRequest,
  ): Outcome<Stored<RolloutRecord>> {
    const { isolation } = this.env.PLATFORM;
    return this.#changeRollout(namespaceId, script, (found, now) =>
      rollouts.startRollout(this.#sql, found, isolation, request, now),
    );
  }

  /** The latest, under way or not. */
  rollout(namespaceId: string, script: string): Outcome<RolloutRecord> {
    return expected(() => {
      const found = scripts.requireScript(this.#sql, namespaceId, script);
      return success(rollouts.requireRollout(this.#sql, found));
    });
  }

  endRollout(
    namespaceId: string,
    script: string,
    action: "promoted" | "aborted",
    why: string,
  ): Outcome<Stored<RolloutRecord>> {
    return this.#changeRollout(namespaceId, script, (found, now) =>
      rollouts.endRollout(this.#sql, found, action, why, now),
    );
  }

  // Limits

  setNamespaceLimits(
    accountId: string,
    name: string,
    limits: LimitSettings,
  ): Outcome<Stored<NamespaceRecord>> {
    return this.#write(() => {
      const found = namespaces.findNamespace(this.#sql, accountId, name);
      if (!found.ok) return found;
      const generation = namespaces.setNamespaceLimits(this.#sql, found.value, limits);
      return success({ value: { ...found.value, limits }, generation });
    });
  }

  setScriptLimits(
    namespaceId: string,
    script: string,
    limits: LimitSettings,
  ): Outcome<Stored<ScriptRecord>> {
    return this.#write(() => {
      const found = scripts.requireScript(this.#sql, namespaceId, script);
      const generation = scripts.setScriptLimits(this.#sql, found, limits);
      return success({ value: { ...found, limits }, generation });
    });
  }

  // Trust: where functions run, and why

  /** Idempotent. `changed`: versions whose trust is another now. */
  incident(incident: Incident): Outcome<Stored<readonly string[]>> {
    return this.#write(() => {
      const { generation, changed } = applyIncident(this.#sql, this.env.PLATFORM, incident);
      for (const versionId of [...changed, ...incident.involved]) this.#runs.forget(versionId);
      return success({ value: changed, generation });
    });
  }

  /** Takes what edges saw of versions that may not be proven; returns those that need no watching now. */
  observe(observations: readonly Observation[]): string[] {
    const now = Date.now();
    const { earned, settled } = this.#runs.take(this.#sql, observations, now);
    if (earned.length === 0) return settled;
    const stored = this.#write(() =>
      success(applyConduct(this.#sql, this.env.PLATFORM, earned, now)),
    );
    // Nobody waits for it: until the edges know, invocations go on where they went.
    if (stored.ok) this.ctx.waitUntil(this.settle(stored.value.generation));
    return settled;
  }

  placement(namespaceId: string, script: string): Outcome<PlacementRecord> {
    return expected(() => {
      const { version, trust, namespace } = scripts.requireScript(this.#sql, namespaceId, script);
      const { place } = this.resolve(namespace, script);
      if (!place) throw new Error(`${namespace}/${script} has a version, but no place`);
      const cleanInvocations = this.#runs.get(version.id);
      return success({ versionId: version.id, place, trust, cleanInvocations });
    });
  }

  /** For a version that has a cell of its own: what the cell has to be like. */
  async cellRequest(versionId: string): Promise<Outcome<CellRequest>> {
    // A stateful cell must find the files of its objects as the registry has them.
    const changed = await this.#objectDelivery.settle();
    if (!changed.ok) return changed;
    return cellRequest(this.#sql, this.env.PLATFORM, versionId);
  }

  /** For the version of a script with Durable Objects that its alarms are for; null: there is none. */
  statefulCellRequest(scriptId: string): CellRequest | null {
    const [row] = this.#sql
      .exec<{ version_id: string }>("SELECT version_id FROM scripts WHERE id = ?", scriptId)
      .toArray();
    if (row === undefined) return null;
    // The supervisor asks again; to wait here for what it has to do first could take as long as it waits.
    if (this.#objectDelivery.hasPending) throw new Error("objects are being moved or deleted");
    const request = cellRequest(this.#sql, this.env.PLATFORM, row.version_id);
    return request.ok && request.value.objects !== undefined ? request.value : null;
  }

  events(namespaceId: string, query: EventQuery): EventRecord[] {
    return listEvents(this.#sql, namespaceId, query);
  }

  trustChanges(): Record<string, number> {
    return trustChanges(this.#sql);
  }

  // Tails: who watches invocations

  /** Fails with `too-many-tails`. */
  startTail(tail: tracing.NewTail): Outcome<Stored<tracing.TailRecord>> {
    const stored = this.#write(() => success(tracing.insertTail(this.#sql, tail, Date.now())));
    if (stored.ok) this.#wakeWithin(tracing.LEASE_MS);
    return stored;
  }

  /** `script` null: of the whole namespace. */
  tails(namespaceId: string, script: string | null): tracing.TailRecord[] {
    return tracing.listTails(this.#sql, namespaceId, script);
  }

  tail(id: string): tracing.TailRecord | null {
    return tracing.findTail(this.#sql, id);
  }

  /** By whoever holds its connection. */
  renewTails(ids: readonly string[]): void {
    for (const id of ids) tracing.renewTail(this.#sql, id, Date.now());
  }

  /** Idempotent. */
  async endTail(id: string): Promise<Outcome<null>> {
    const stored = this.#write(() => success(tracing.deleteTail(this.#sql, id)));
    return stored.ok ? this.settle(stored.value) : stored;
  }

  tracing(namespace: string, script: string): tracing.Tracing | null {
    return tracing.tracingOf(this.#sql, namespace, script);
  }

  // Custom routes

  routes(accountId: string): Route[] {
    return routes.listRoutes(this.#sql, accountId);
  }

  route(accountId: string, id: string): Outcome<Route> {
    return expected(() => success(routes.requireRoute(this.#sql, accountId, id)));
  }

  createRoute(accountId: string, spec: routes.RouteSpec): Outcome<Stored<Route>> {
    return this.#putRoute(accountId, crypto.randomUUID(), spec);
  }

  updateRoute(accountId: string, id: string, spec: routes.RouteSpec): Outcome<Stored<Route>> {
    const found = this.route(accountId, id);
    return found.ok ? this.#putRoute(accountId, id, spec) : found;
  }

  deleteRoute(accountId: string, id: string): Outcome<Stored<null>> {
    return this.#write(() => {
      routes.requireRoute(this.#sql, accountId, id);
      return success({ value: null, generation: routes.deleteRoute(this.#sql, id) });
    });
  }

  // Zones, their routes and custom domains

  zones(accountId: string): zones.ZoneRecord[] {
    return zones.listZones(this.#sql, accountId);
  }

  zone(accountId: string, id: string): Outcome<zones.ZoneRecord> {
    return expected(() => success(zones.requireZone(this.#sql, accountId, id)));
  }

  addZone(accountId: string, name: string): Outcome<zones.ZoneRecord> {
    return this.#write(() => success(zones.addZone(this.#sql, accountId, name, Date.now())));
  }

  removeZone(accountId: string, id: string): Outcome<Stored<null>> {
    return this.#write(() => {
      const zone = zones.requireZone(this.#sql, accountId, id);
      return success({ value: null, generation: zones.removeZone(this.#sql, zone) });
    });
  }

  zoneRoutes(accountId: string, zoneId: string): Outcome<ZoneRoute[]> {
    return expected(() => {
      const zone = zones.requireZone(this.#sql, accountId, zoneId);
      return success(zoneRoutes.listZoneRoutes(this.#sql, zone));
    });
  }

  zoneRoute(accountId: string, zoneId: string, id: string): Outcome<ZoneRoute> {
    return expected(() => {
      const zone = zones.requireZone(this.#sql, accountId, zoneId);
      return success(zoneRoutes.requireZoneRoute(this.#sql, zone, id));
    });
  }

  /** `id` null: a new one. */
  putZoneRoute(
    accountId: string,
    zoneId: string,
    id: string | null,
    pattern: zoneRoutes.ZonePattern,
    script: string | null,
  ): Outcome<Stored<ZoneRoute>> {
    return this.#write(() => {
      const sql = this.#sql;
      const zone = zones.requireZone(sql, accountId, zoneId);
      if (id !== null) zoneRoutes.requireZoneRoute(sql, zone, id);
      const routeId = id ?? crypto.randomUUID();
      const now = Date.now();
      const generation = zoneRoutes.putZoneRoute(
        sql,
        accountId,
        zone,
        routeId,
        pattern,
        script,
        now,
      );
      return success({ value: zoneRoutes.requireZoneRoute(sql, zone, routeId), generation });
    });
  }

  deleteZoneRoute(accountId: string, zoneId: string, id: string): Outcome<Stored<null>> {
    return this.#write(() => {
      const zone = zones.requireZone(this.#sql, accountId, zoneId);
      zoneRoutes.requireZoneRoute(this.#sql, zone, id);
      return success({ value: null, generation: routes.deleteRoute(this.#sql, id) });
    });
  }

  /** Of an account Worker. */
  scriptRoutes(accountId: string, script: string): Outcome<ZoneRoute[]> {
    return expected(() => success(zoneRoutes.routesOf(this.#sql, accountId, script, false)));
  }

  setScriptRoutes(
    accountId: string,
    script: string,
    patterns: readonly zoneRoutes.ZonePattern[],
  ): Outcome<Stored<ZoneRoute[]>> {
    return this.#write(() => {
      const sql = this.#sql;
      const now = Date.now();
      const generation = zoneRoutes.setScriptRoutes(sql, accountId, script, patterns, now);
      return success({ value: zoneRoutes.routesOf(sql, accountId, script, false), generation });
    });
  }

  domains(accountId: string): ZoneRoute[] {
    return zoneRoutes.listDomains(this.#sql, accountId);
  }

  domain(accountId: string, id: string): Outcome<ZoneRoute> {
    return expected(() => success(zoneRoutes.requireDomain(this.#sql, accountId, id)));
  }

  domainChanges(
    accountId: string,
    script: string,
    wanted: readonly zoneRoutes.ZonePattern[],
  ): Outcome<zoneRoutes.DomainChanges> {
    return expected(() => success(zoneRoutes.domainChanges(this.#sql, accountId, script, wanted)));
  }

  setDomains(
    accountId: string,
    script: string,
    wanted: readonly zoneRoutes.ZonePattern[],
    how: { readonly keepOthers: boolean; readonly mayTake: boolean },
  ): Outcome<Stored<ZoneRoute[]>> {
    return this.#write(() => {
      const sql = this.#sql;
      const now = Date.now();
      const generation = zoneRoutes.setDomains(sql, accountId, script, wanted, how, now);
      return success({ value: zoneRoutes.routesOf(sql, accountId, script, true), generation });
    });
  }

  deleteDomain(accountId: string, id: string): Outcome<Stored<null>> {
    return this.#write(() => {
      zoneRoutes.requireDomain(this.#sql, accountId, id);
      return success({ value: null, generation: routes.deleteRoute(this.#sql, id) });
    });
  }

  // Resources: KV namespaces, R2 buckets, D1 databases, queues

  resources(query: resources.ResourceQuery): ResourceRecord[] {
    return resources.listResources(this.#sql, query);
  }

  /** null: there is none, or it belongs to none of the query's owners. */
  resource(
    query: resources.ResourceQuery,
    by: { readonly id: string } | { readonly name: string },
  ): ResourceRecord | null {
    return resources.findResource(this.#sql, query, by);
  }

  /** Of any account. */
  hasResource(kind: ResourceRecord["kind"], id: string): boolean {
    return resources.resourceById(this.#sql, kind, id) !== null;
  }

  /** Its users call `settleStore` next, as those of the two below. */
  createResource(resource: resources.NewResource): Outcome<ResourceRecord> {
    return this.#write(() => success(resources.createResource(this.#sql, resource, Date.now())));
  }

  updateResource(
    kind: ResourceRecord["kind"],
    id: string,
    patch: Partial<Pick<ResourceRecord, "name" | "settings">>,
  ): Outcome<ResourceRecord> {
    return this.#write(() => {
      const found = resources.requireResource(this.#sql, kind, id);
      return success(resources.updateResource(this.#sql, found, patch, Date.now()));
    });
  }

  deleteResource(kind: ResourceRecord["kind"], id: string): Outcome<null> {
    return this.#write(() => {
      resources.deleteResource(this.#sql, resources.requireResource(this.#sql, kind, id));
      return success(null);
    });
  }

  // Consumers of queues. The users of what changes them call `settleStore` next.

  queueConsumer(queueId: string): queues.ConsumerRecord | null {
    return queues.consumerOf(this.#sql, queueId);
  }

  queueProducers(queueId: string): queues.ProducerRecord[] {
    return queues.producersOf(this.#sql, queueId);
  }

  addQueueConsumer(consumer: queues.NewConsumer): Outcome<queues.ConsumerRecord> {
    return this.#write(() => success(queues.addConsumer(this.#sql, consumer, Date.now())));
  }

  updateQueueConsumer(id: string, consumer: queues.NewConsumer): Outcome<queues.ConsumerRecord> {
    return this.#write(() => success(queues.updateConsumer(this.#sql, id, consumer)));
  }

  removeQueueConsumer(queueId: string, id: string): Outcome<null> {
    return this.#write(() => {
      queues.removeConsumer(this.#sql, queueId, id);
      return success(null);
    });
  }

  // Durable Objects

  objectOwner(key: string): ObjectOwner | null {
    const found = objectClasses.findClass(this.#sql, key);
    return found && { namespace: found.namespace, script: found.script };
  }

  objectClasses(accountId: string): objectClasses.ObjectClassRecord[] {
    return objectClasses.listClasses(this.#sql, accountId);
  }

  // Workflows

  workflows(accountId: string): workflows.WorkflowRecord[] {
    return workflows.listWorkflows(this.#sql, accountId);
  }

  workflow(accountId: string, nameOrId: string): workflows.WorkflowRecord | null {
    return workflows.findWorkflow(this.#sql, accountId, nameOrId);
  }

  setWorkflow(
    accountId: string,
    id: string,
    settings: WorkflowSettings,
  ): Outcome<Stored<workflows.WorkflowRecord>> {
    return this.#write(() => {
      workflows.setWorkflow(this.#sql, id, settings, Date.now());
      const found = workflows.findWorkflow(this.#sql, accountId, id);
      if (found === null) throw new Rejection({ reason: "unknown-workflow", workflow: id });
      return success({ value: found, generation: currentGeneration(this.#sql) });
    });
  }

  deleteWorkflow(accountId: string, id: string): Outcome<Stored<null>> {
    return this.#write(() => {
      const found = workflows.findWorkflow(this.#sql, accountId, id);
      if (found === null) throw new Rejection({ reason: "unknown-workflow", workflow: id });
      return success({ value: null, generation: workflows.deleteWorkflow(this.#sql, found) });
    });
  }

  // What wakes scripts. Those that change it call `settleStore` next.

  scriptEvents(scriptId: string): ScriptEvents {
    return scriptEvents.scriptEvents(this.#sql, scriptId);
  }

  setSchedules(
    namespaceId: string,
    script: string,
    crons: readonly string[],
  ): Outcome<ScriptEvents> {
    return this.#write(() => {
      const { id } = scripts.requireScript(this.#sql, namespaceId, script);
      return success(scriptEvents.setSchedules(this.#sql, id, crons, Date.now()));
    });
  }

  setInvocations(
    namespaceId: string,
    script: string,
    settings: InvocationSettings,
  ): Outcome<ScriptEvents> {
    return this.#write(() => {
      const { id } = scripts.requireScript(this.#sql, namespaceId, script);
      return success(scriptEvents.setInvocations(this.#sql, id, settings));
    });
  }

  /** The store takes asynchronous invocations of it from then on. */
  introduceInvocations(namespaceId: string, script: string): Outcome<ScriptRecord> {
    return this.#write(() => {
      const found = scripts.requireScript(this.#sql, namespaceId, script);
      scriptEvents.introduceInvocations(this.#sql, found.id);
      return success(found);
    });
  }

  changeFeeds(scriptId: string): changeFeeds.ChangeFeedRecord[] {
    return changeFeeds.listFeeds(this.#sql, scriptId);
  }

  changeFeed(scriptId: string, id: string): Outcome<changeFeeds.ChangeFeedRecord> {
    return expected(() => success(changeFeeds.requireFeed(this.#sql, scriptId, id)));
  }

  /** Its users call `settleStore` next, as those of the next one. */
  addChangeFeed(feed: changeFeeds.NewChangeFeed): Outcome<changeFeeds.ChangeFeedRecord> {
    return this.#write(() => success(changeFeeds.addFeed(this.#sql, feed, Date.now())));
  }

  removeChangeFeed(scriptId: string, id: string): Outcome<null> {
    return this.#write(() => {
      changeFeeds.removeFeed(this.#sql, scriptId, id);
      return success(null);
    });
  }

  /** Resolves when the store has taken all changes of what it is told (store-config.ts). */
  async settleStore(again = false): Promise<Outcome<null>> {
    const settled = await this.#storeDelivery.settle(again);
    if (!settled.ok) this.#wakeWithin(BACKSTOP_MS);
    return settled;
  }

  // What edges ask, and how they learn of changes

  resolve(namespace: string, script: string): ScriptState {
    const generation = currentGeneration(this.#sql);
    rememberPreview(this.#sql, namespace, script);
    return scriptState(this.#sql, this.env.PLATFORM, generation, namespace, script);
  }

  allRoutes(): RoutesState {
    return { generation: currentGeneration(this.#sql), routes: routes.allRoutes(this.#sql) };
  }

  /** Resolves when every live edge has taken all changes up to `generation`. */
  async settle(generation: number): Promise<Outcome<null>> {
    // First the files of Durable Objects: a cell that edges ask for then must not meet them as they were.
    const changed = await this.#objectDelivery.settle();
    const settled = changed.ok ? await this.#delivery.settle(generation) : changed;
    if (!settled.ok) this.#wakeWithin(BACKSTOP_MS);
    return settled;
  }

  override async alarm(): Promise<void> {
    this.#alarmAt = null;
    const changed = await this.#objectDelivery.settle();
    const delivered = changed.ok && (await this.#delivery.deliverPending());
    if (!delivered) this.#wakeWithin(BACKSTOP_MS);
    await this.settleStore(true);
    await this.#lookAtRollouts();
    await this.#endLeases();
    if (this.#sweepAt === null) return;
    if (this.#sweepAt <= Date.now()) await this.sweep();
    else this.#wakeWithin(this.#sweepAt - Date.now());
  }

  /** Called by the alarm. Rejects if the blob store does; the runtime then calls the alarm again, later and later. */
  async sweep(): Promise<void> {
    // A change that comes meanwhile asks for another one.
    this.#sweepAt = null;
    try {
      if (await this.#blobs.sweep(Date.now())) this.#sweepWithin(SWEEP_MS);
    } catch (error) {
      this.#sweepAt = 0;
      throw error;
    }
  }

  /** Of tails that nobody holds any more. */
  async #endLeases(): Promise<void> {
    const { generation, isAnyLeft } = this.ctx.storage.transactionSync(() =>
      tracing.endLeases(this.#sql, Date.now()),
    );
    if (isAnyLeft) this.#wakeWithin(tracing.LEASE_MS);
    if (generation !== null) await this.settle(generation);
  }

  #putRoute(accountId: string, id: string, spec: routes.RouteSpec): Outcome<Stored<Route>> {
    return this.#write(() => {
      const generation = routes.putRoute(this.#sql, id, spec, Date.now());
      return success({ value: routes.requireRoute(this.#sql, accountId, id), generation });
    });
  }

  #changeRollout(
    namespaceId: string,
    script: string,
    change: (script: ScriptRecord, now: number) => number,
  ): Outcome<Stored<RolloutRecord>> {
    const stored = this.#write(() => {
      const found = scripts.requireScript(this.#sql, namespaceId, script);
      const generation = change(found, Date.now());
      return success({ value: rollouts.requireRollout(this.#sql, found), generation });
    });
    this.#wakeForRollouts();
    return stored;
  }

  async #lookAtRollouts(): Promise<void> {
    const looked = await this.#rollouts.lookAtDue(Date.now());
    for (const { rollout, look } of looked) {
      const stored = this.#write(() =>
        success(rollouts.applyLook(this.#sql, rollout, look, Date.now())),
      );
      if (!stored.ok) {
        console.error(`rollout of ${rollout.namespace}/${rollout.script}:`, stored.failure);
        this.#write(() => success(rollouts.applyLook(this.#sql, rollout, null, Date.now())));
      }
      // Not awaited: what an edge does not take is in the outbox, and other rollouts go on meanwhile.
      if (stored.ok && stored.value > 0) this.ctx.waitUntil(this.settle(stored.value));
    }
    this.#wakeForRollouts();
  }

  #wakeForRollouts(): void {
    const next = nextLookMs(this.#sql);
    if (next !== null) this.#wakeWithin(Math.max(0, next - Date.now()));
  }

  /** A change: all of it or nothing, also when it is refused half way. */
  #write<T>(body: () => Outcome<T>): Outcome<T> {
    const outcome = expected(() => this.ctx.storage.transactionSync(body));
    if (outcome.ok) {
      this.#sweepAt ??= Date.now() + SWEEP_MS;
      this.#wakeWithin(BACKSTOP_MS);
    }
    return outcome;
  }

  #sweepWithin(ms: number): void {
    this.#sweepAt ??= Date.now() + ms;
    this.#wakeWithin(ms);
  }

  /**
   * Synchronous, so that the runtime commits the alarm together with the change that asks for it: a hub
   * that is killed right after delivers the change when it is back.
   */
  #wakeWithin(ms: number): void {
    const wanted = Date.now() + ms;
    if (this.#alarmAt !== null && this.#alarmAt <= wanted) return;
    this.#alarmAt = wanted;
    void this.ctx.storage.setAlarm(wanted);
  }
}
