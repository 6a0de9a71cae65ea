/**
 * The Registry's tables, and how a database of an older Skep is brought up to date. Migrations run in
 * order, each in a transaction with its version number; one that has been released is never edited.
 *
 *   meta        schema version; `generation`, which grows by one with every change that edges care about;
 *               `trust:<state>`, which counts the versions that came into it; `retired-key:<id>`: seals nothing any more
 *   accounts    owners
 *   tokens      API tokens: only SHA-256 of the token. `namespaces` null: all of the account. `owner`: `user` or `account`
 *   namespaces  their names are unique on the whole platform, since they are in host names. `kind`: `dispatch`, or
 *               `account` for the one of each account that holds its Workers outside of dispatch namespaces
 *               `outbound`: JSON {namespaceId, script, parameters} or null (outbound.ts)
 *               `tail_consumers`: JSON [{namespaceId, script}]
 *   scripts     one row per Worker, with what is not versioned; `deployment_id` is in force, and `version_id` has
 *               the largest share of it. `workers_dev`: its host name leads to it; `previews`: those of versions do
 *   deployments which versions of a script get traffic: `shares` is JSON [{versionId, percentage}], of 100 together
 *   versions    uploads; the newest 100 of a script are kept, older ones go a minute after they were replaced.
 *               `superseded_on` null: it gets traffic
 *   blobs       files in the blob store; those that neither a version nor an upload under way names are swept
 *   uploads     blobs held by an upload that is not committed yet; forgotten after an hour
 *   zones       domains whose routes and custom domains wrangler may set
 *   routes      custom routes; `script` null opts the host out. `custom_domain`: the pattern is all of a host
 *   assets      static files in the blob store, by the hash that clients gave them, apart per namespace
 *   tails       who watches the invocations of a script, or with `script` null of a namespace, right now
 *   audit       changes made by the API: who, what, from where, before and after; the newest 10,000 are kept
 *   previews    names of versions' previews that edges have asked for, and so may know; by names, as the outbox
 *   outbox      what the edges have not confirmed yet; the row ('', '') stands for the route table
 *   rollouts    the latest of each script: `plan`, its latest `look` and all `decisions` are JSON (rollout-store.ts);
 *               `look_at` null: it has ended
 *   object_classes   classes of Durable Objects, by key (src/protocol/objects.ts), with the script that has their objects;
 *               `migration_tag` of scripts: the latest migration that made them so
 *   workflows   of scripts, by class; `is_running` 0: its instances rest.
 *               `settings`: JSON of WorkflowSettings
 *   object_changes   what has to be done with the files of objects; JSON of ObjectChange
 *   script_events  what wakes a script beside requests, both JSON (script-events.ts); the store knows of scripts in it
 *   trust       one row per version: what it has earned or lost (trust.ts)
 *   change_feeds functions that are called with changes of a resource, by the hidden queue `queue_id` (change-feeds.ts)
 *   queue_consumers who takes messages of a queue: a script, or with `script_id` null whoever pulls. `dead_letter_queue` is a
 *               name, among the queues of the same owner (queues.ts)
 *   events      what befell processes and changed trust; the newest 10,000 are kept
 */

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_on INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    namespaces TEXT,
    permissions TEXT NOT NULL,
    created_on INTEGER NOT NULL,
    expires_on INTEGER
  ) STRICT;

  CREATE TABLE namespaces (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL UNIQUE,
    trusted_workers INTEGER NOT NULL DEFAULT 0,
    created_on INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    modified_on INTEGER NOT NULL,
    modified_by TEXT NOT NULL
  ) STRICT;

  CREATE TABLE scripts (
    id TEXT PRIMARY KEY,
    namespace_id TEXT NOT NULL REFERENCES namespaces (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    version_id TEXT NOT NULL,
    tags TEXT NOT NULL,
    logpush INTEGER NOT NULL,
    observability TEXT,
    created_on INTEGER NOT NULL,
    modified_on INTEGER NOT NULL,
    UNIQUE (namespace_id, name)
  ) STRICT;

  CREATE TABLE versions (
    id TEXT PRIMARY KEY,
    script_id TEXT NOT NULL REFERENCES scripts (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    created_on INTEGER NOT NULL,
    superseded_on INTEGER,
    author TEXT NOT NULL,
    source TEXT NOT NULL,
    blob TEXT NOT NULL,
    code TEXT NOT NULL,
    settings TEXT NOT NULL,
    bindings TEXT NOT NULL,
    annotations TEXT NOT NULL,
    UNIQUE (script_id, number)
  ) STRICT;
  CREATE INDEX versions_by_blob ON versions (blob);

  CREATE TABLE blobs (
    hash TEXT PRIMARY KEY,
    created_on INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE uploads (
    version_id TEXT PRIMARY KEY,
    blob TEXT NOT NULL,
    created_on INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX uploads_by_blob ON uploads (blob);

  CREATE TABLE routes (
    id TEXT PRIMARY KEY,
    pattern TEXT NOT NULL UNIQUE,
    namespace_id TEXT NOT NULL REFERENCES namespaces (id) ON DELETE CASCADE,
    script TEXT,
    created_on INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE outbox (
    namespace TEXT NOT NULL,
    script TEXT NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (namespace, script)
  ) STRICT;

  INSERT INTO meta (key, value) VALUES ('generation', 0);
  `,
  `
  ALTER TABLE namespaces ADD COLUMN isolation TEXT;
  ALTER TABLE namespaces ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE scripts ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE outbox ADD COLUMN prewarm INTEGER NOT NULL DEFAULT 0;

  CREATE TABLE trust (
    version_id TEXT PRIMARY KEY REFERENCES versions (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    since INTEGER NOT NULL,
    strikes TEXT NOT NULL,
    convictions INTEGER NOT NULL,
    refused_until INTEGER NOT NULL
  ) STRICT;
  INSERT INTO trust (version_id, state, why, since, strikes, convictions, refused_until)
  SELECT id, 'probation', 'new version', unixepoch() * 1000, '[]', 0, 0 FROM versions;

  CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    namespace_id TEXT REFERENCES namespaces (id) ON DELETE CASCADE,
    script TEXT,
    version_id TEXT,
    process TEXT,
    detail TEXT NOT NULL,
    incident TEXT
  ) STRICT;
  CREATE INDEX events_by_namespace ON events (namespace_id, id);
  CREATE INDEX events_by_incident ON events (incident) WHERE incident IS NOT NULL;
  `,
  `
  ALTER TABLE namespaces ADD COLUMN outbound TEXT;
  `,
  `
  ALTER TABLE namespaces ADD COLUMN kind TEXT NOT NULL DEFAULT 'dispatch';

  ALTER TABLE scripts ADD COLUMN deployment_id TEXT;
  ALTER TABLE scripts ADD COLUMN workers_dev INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE scripts ADD COLUMN previews INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE scripts ADD COLUMN tail_consumers TEXT NOT NULL DEFAULT '[]';

  CREATE TABLE deployments (
    id TEXT PRIMARY KEY,
    script_id TEXT NOT NULL REFERENCES scripts (id) ON DELETE CASCADE,
    created_on INTEGER NOT NULL,
    author TEXT NOT NULL,
    source TEXT NOT NULL,
    shares TEXT NOT NULL,
    annotations TEXT NOT NULL
  ) STRICT;
  CREATE INDEX deployments_by_script ON deployments (script_id, created_on);
  INSERT INTO deployments (id, script_id, created_on, author, source, shares, annotations)
  SELECT versions.id, versions.script_id, versions.created_on, versions.author, versions.source,
    json_array(json_object('versionId', versions.id, 'percentage', 100)), versions.annotations
  FROM scripts JOIN versions ON versions.id = scripts.version_id;
  UPDATE scripts SET deployment_id = version_id;

  ALTER TABLE versions ADD COLUMN assets TEXT;

  CREATE INDEX versions_by_manifest ON versions (json_extract(assets, '$.manifest')) WHERE assets IS NOT NULL;

  CREATE TABLE assets (
    id INTEGER PRIMARY KEY,
    namespace_id TEXT NOT NULL REFERENCES namespaces (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    blob TEXT NOT NULL,
    size INTEGER NOT NULL,
    content_type TEXT,
    created_on INTEGER NOT NULL,
    UNIQUE (namespace_id, hash)
  ) STRICT;
  CREATE INDEX assets_by_blob ON assets (blob);

  CREATE TABLE asset_manifests (
    id INTEGER PRIMARY KEY,
    namespace_id TEXT NOT NULL REFERENCES namespaces (id) ON DELETE CASCADE,
    blob TEXT NOT NULL,
    created_on INTEGER NOT NULL,
    UNIQUE (namespace_id, blob)
  ) STRICT;
  CREATE INDEX asset_manifests_by_blob ON asset_manifests (blob);

  CREATE TABLE manifest_assets (
    manifest_id INTEGER NOT NULL REFERENCES asset_manifests (id) ON DELETE CASCADE,
    asset_id INTEGER NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
    PRIMARY KEY (manifest_id, asset_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX manifest_assets_by_asset ON manifest_assets (asset_id);

  CREATE TABLE asset_sessions (
    id TEXT PRIMARY KEY,
    namespace_id TEXT NOT NULL REFERENCES namespaces (id) ON DELETE CASCADE,
    blob TEXT NOT NULL,
    expires_on INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX asset_sessions_by_blob ON asset_sessions (blob);

  CREATE TABLE session_assets (
    session_id TEXT NOT NULL REFERENCES asset_sessions (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (session_id, hash)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX session_assets_by_hash ON session_assets (hash);

  CREATE TABLE zones (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL UNIQUE,
    created_on INTEGER NOT NULL
  ) STRICT;
  ALTER TABLE routes ADD COLUMN zone_id TEXT REFERENCES zones (id) ON DELETE CASCADE;
  ALTER TABLE routes ADD COLUMN custom_domain INTEGER NOT NULL DEFAULT 0;

  CREATE TABLE previews (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    script TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
  ) STRICT;
  CREATE INDEX previews_by_script ON previews (namespace, script);

  ALTER TABLE tokens ADD COLUMN last_used_on INTEGER;
  ALTER TABLE tokens ADD COLUMN owner TEXT NOT NULL DEFAULT 'user';
  UPDATE tokens SET permissions = replace(permissions, '"write"', '"deploy","tail","admin"');

  CREATE TABLE rollouts (
    script_id TEXT PRIMARY KEY REFERENCES scripts (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    plan TEXT NOT NULL,
    state TEXT NOT NULL,
    step INTEGER NOT NULL,
    step_since INTEGER NOT NULL,
    started_on INTEGER NOT NULL,
    ended_on INTEGER,
    look_at INTEGER,
    look TEXT,
    decisions TEXT NOT NULL
  ) STRICT;
  CREATE INDEX rollouts_by_look ON rollouts (look_at) WHERE look_at IS NOT NULL;
  ALTER TABLE namespaces ADD COLUMN tail_consumers TEXT NOT NULL DEFAULT '[]';
  CREATE TABLE tails (
    id TEXT PRIMARY KEY,
    namespace_id TEXT NOT NULL REFERENCES namespaces (id) ON DELETE CASCADE,
    script TEXT,
    filters TEXT NOT NULL,
    created_on INTEGER NOT NULL,
    expires_on INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX tails_by_namespace ON tails (namespace_id, script);

  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    before TEXT,
    after TEXT
  ) STRICT;
  `,
  `
  CREATE TABLE resources (
    id TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    namespace_id TEXT REFERENCES namespaces (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_on INTEGER NOT NULL,
    modified_on INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT;
  CREATE UNIQUE INDEX resources_by_name ON resources (account_id, kind, name, COALESCE(namespace_id, ''));
  CREATE INDEX resources_by_namespace ON resources (namespace_id);

  CREATE TABLE store_changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER resource_made AFTER INSERT ON resources BEGIN
    INSERT INTO store_changes (kind, id) VALUES (NEW.kind, NEW.id);
  END;
  CREATE TRIGGER resource_changed AFTER UPDATE ON resources BEGIN
    INSERT INTO store_changes (kind, id) VALUES (NEW.kind, NEW.id);
  END;
  CREATE TRIGGER resource_gone AFTER DELETE ON resources BEGIN
    INSERT INTO store_changes (kind, id) VALUES (OLD.kind, OLD.id);
  END;
  CREATE TRIGGER owner_changed AFTER UPDATE OF name, limits ON namespaces BEGIN
    INSERT INTO store_changes (kind, id) SELECT kind, id FROM resources WHERE namespace_id = NEW.id;
  END;

  CREATE TABLE queue_consumers (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL DEFAULT 'queue',
    queue_id TEXT NOT NULL UNIQUE,
    script_id TEXT REFERENCES scripts (id) ON DELETE CASCADE,
    settings TEXT NOT NULL,
    dead_letter_queue TEXT,
    created_on INTEGER NOT NULL,
    FOREIGN KEY (kind, queue_id) REFERENCES resources (kind, id) ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX queue_consumers_by_script ON queue_consumers (script_id);
  CREATE INDEX queue_consumers_by_dead_letter_queue ON queue_consumers (dead_letter_queue);
  CREATE TABLE change_feeds (
    id TEXT PRIMARY KEY,
    script_id TEXT NOT NULL REFERENCES scripts (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    binding TEXT NOT NULL,
    queue_id TEXT NOT NULL,
    rules TEXT NOT NULL,
    settings TEXT NOT NULL,
    dead_letter_queue TEXT,
    created_on INTEGER NOT NULL,
    FOREIGN KEY (kind, resource_id) REFERENCES resources (kind, id) ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX change_feeds_by_resource ON change_feeds (kind, resource_id);
  CREATE INDEX change_feeds_by_script ON change_feeds (script_id);
  CREATE TRIGGER change_feed_made AFTER INSERT ON change_feeds BEGIN
    INSERT INTO store_changes (kind, id) VALUES (NEW.kind, NEW.resource_id);
  END;
  CREATE TRIGGER change_feed_gone AFTER DELETE ON change_feeds BEGIN
    INSERT INTO store_changes (kind, id) VALUES (OLD.kind, OLD.resource_id);
    DELETE FROM resources WHERE kind = 'queue' AND id = OLD.queue_id;
  END;
  CREATE TRIGGER queue_consumer_made AFTER INSERT ON queue_consumers BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('queue', NEW.queue_id);
  END;
  CREATE TRIGGER queue_consumer_changed AFTER UPDATE ON queue_consumers BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('queue', NEW.queue_id);
  END;
  CREATE TRIGGER queue_consumer_gone AFTER DELETE ON queue_consumers BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('queue', OLD.queue_id);
  END;
  CREATE TRIGGER queue_consumer_renamed AFTER UPDATE OF name ON namespaces BEGIN
    INSERT INTO store_changes (kind, id)
    SELECT 'queue', queue_id FROM queue_consumers JOIN scripts ON scripts.id = script_id WHERE namespace_id = NEW.id;
  END;
  CREATE TRIGGER dead_letter_queue_made AFTER INSERT ON resources WHEN NEW.kind = 'queue' BEGIN
    INSERT INTO store_changes (kind, id)
    SELECT 'queue', queue_id FROM queue_consumers WHERE dead_letter_queue = NEW.name;
  END;
  CREATE TRIGGER dead_letter_queue_renamed AFTER UPDATE OF name ON resources WHEN NEW.kind = 'queue' BEGIN
    INSERT INTO store_changes (kind, id)
    SELECT 'queue', queue_id FROM queue_consumers WHERE dead_letter_queue IN (NEW.name, OLD.name);
  END;
  CREATE TRIGGER dead_letter_queue_gone AFTER DELETE ON resources WHEN OLD.kind = 'queue' BEGIN
    INSERT INTO store_changes (kind, id)
    SELECT 'queue', queue_id FROM queue_consumers WHERE dead_letter_queue = OLD.name;
  END;
  -- Nobody is told of what changes there any more.
  CREATE TRIGGER notified_queue_gone AFTER DELETE ON resources WHEN OLD.kind = 'queue' BEGIN
    INSERT INTO store_changes (kind, id) SELECT kind, id FROM resources
    WHERE kind = 'r2' AND account_id = OLD.account_id AND instr(settings, OLD.id) > 0;
  END;

  UPDATE tokens SET permissions = replace(permissions, '"deploy"', '"deploy","data"');

  ALTER TABLE scripts ADD COLUMN migration_tag TEXT;
  CREATE TABLE object_classes (
    key TEXT PRIMARY KEY,
    script_id TEXT NOT NULL REFERENCES scripts (id) ON DELETE CASCADE,
    class_name TEXT NOT NULL,
    use_sqlite INTEGER NOT NULL,
    created_on INTEGER NOT NULL,
    UNIQUE (script_id, class_name)
  ) STRICT;
  CREATE TABLE object_changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    change TEXT NOT NULL
  ) STRICT;
  CREATE TRIGGER object_class_gone AFTER DELETE ON object_classes BEGIN
    INSERT INTO object_changes (change) VALUES (json_object('type', 'delete', 'key', OLD.key, 'scriptId', OLD.script_id));
  END;
  CREATE TRIGGER object_class_moved AFTER UPDATE OF script_id ON object_classes BEGIN
    INSERT INTO object_changes (change) VALUES (json_object(
      'type', 'transfer', 'key', OLD.key, 'fromScriptId', OLD.script_id, 'toScriptId', NEW.script_id));
  END;

  CREATE TABLE script_events (
    script_id TEXT PRIMARY KEY REFERENCES scripts (id) ON DELETE CASCADE,
    schedules TEXT NOT NULL,
    invocations TEXT
  ) STRICT;
  CREATE TRIGGER script_events_made AFTER INSERT ON script_events BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('script', NEW.script_id);
  END;
  CREATE TRIGGER script_events_changed AFTER UPDATE ON script_events BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('script', NEW.script_id);
  END;
  CREATE TRIGGER script_events_gone AFTER DELETE ON script_events BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('script', OLD.script_id);
  END;
  CREATE TRIGGER namespace_of_events_changed AFTER UPDATE OF name, limits ON namespaces BEGIN
    INSERT INTO store_changes (kind, id) SELECT 'script', id FROM scripts WHERE namespace_id = NEW.id
      AND (id IN (SELECT script_id FROM script_events) OR id IN (SELECT script_id FROM object_classes));
  END;
  CREATE TRIGGER object_room_made AFTER INSERT ON object_classes BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('script', NEW.script_id);
  END;
  CREATE TRIGGER object_room_moved AFTER UPDATE OF script_id ON object_classes BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('script', OLD.script_id), ('script', NEW.script_id);
  END;
  CREATE TRIGGER object_room_gone AFTER DELETE ON object_classes BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('script', OLD.script_id);
  END;
  `,
  `
  CREATE TABLE workflows (
    id TEXT PRIMARY KEY,
    script_id TEXT NOT NULL REFERENCES scripts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    class_name TEXT NOT NULL,
    settings TEXT NOT NULL,
    is_running INTEGER NOT NULL,
    created_on INTEGER NOT NULL,
    modified_on INTEGER NOT NULL,
    UNIQUE (script_id, name)
  ) STRICT;
  CREATE TRIGGER workflow_gone AFTER DELETE ON workflows BEGIN
    INSERT INTO object_changes (change) VALUES (json_object(
      'type', 'delete', 'key', 'miniflare-workflows-' || OLD.name, 'scriptId', OLD.script_id));
  END;
  CREATE TRIGGER workflow_room_made AFTER INSERT ON workflows BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('script', NEW.script_id);
  END;
  CREATE TRIGGER workflow_room_gone AFTER DELETE ON workflows BEGIN
    INSERT INTO store_changes (kind, id) VALUES ('script', OLD.script_id);
  END;
  CREATE TRIGGER namespace_of_workflows_changed AFTER UPDATE OF name, limits ON namespaces BEGIN
    INSERT INTO store_changes (kind, id) SELECT 'script', script_id FROM workflows
      JOIN scripts ON scripts.id = workflows.script_id WHERE scripts.namespace_id = NEW.id;
  END;
  CREATE TRIGGER workflow_set AFTER UPDATE OF settings ON workflows WHEN NEW.settings <> OLD.settings BEGIN
    INSERT INTO object_changes (change) VALUES (json_object('type', 'renew', 'scriptId', NEW.script_id));
  END;
  `,
];

/** `wanted`: the schema to end with, the newest by default. */
export function migrate(storage: DurableObjectStorage, wanted = MIGRATIONS.length): void {
  const { sql } = storage;
  sql.exec(`CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT`);
  const [row] = sql
    .exec<{ value: number }>(`SELECT value FROM meta WHERE key = 'schema'`)
    .toArray();
  const current = row?.value ?? 0;
  if (current > MIGRATIONS.length) {
    throw new Error(
      `the registry has schema ${current}, this Skep knows ${MIGRATIONS.length}: start the newer Skep that wrote it`,
    );
  }
  for (const [index, statements] of MIGRATIONS.entries()) {
    if (index < current || index >= wanted) continue;
    storage.transactionSync(() => {
      sql.exec(statements);
      sql.exec(`INSERT OR REPLACE INTO meta (key, value) VALUES ('schema', ?)`, index + 1);
    });
  }
}
