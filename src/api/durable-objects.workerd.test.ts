/** Uploads with classes of Durable Objects: what is stored, what edges and the supervisor are told, what is refused. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  ACCOUNT,
  activeBundle,
  bootstrap,
  call,
  deploy,
  edgeGate,
  ES_MODULE,
  failSupervisor,
  limitedToken,
  NAMESPACES,
  scriptPath,
  supervisorCalls,
  uploadForm,
  type Answer,
} from "../hub/test/api.ts";
import type { ScriptState } from "../protocol/routing.ts";

const OBJECTS = `/accounts/${ACCOUNT}/workers/durable_objects/namespaces`;

beforeAll(async () => {
  await bootstrap();
  await call("POST", NAMESPACES, { name: "other" });
});

/** A script that exports these classes. */
function form(classes: readonly string[], metadata: object = {}): FormData {
  const source = classes.map((name) => `export class ${name} extends DurableObject {}\n`).join("");
  return uploadForm({ main_module: "index.js", compatibility_date: "2026-01-01", ...metadata }, [
    "index.js",
    `import { DurableObject } from "cloudflare:workers";\n${source}export default { fetch: () => new Response("hi") };`,
    ES_MODULE,
  ]);
}

const bound = (name: string, class_name: string, script_name?: string) => ({
  type: "durable_object_namespace",
  name,
  class_name,
  ...(script_name && { script_name }),
});

function migrations(new_tag: string, ...steps: readonly object[]) {
  return { migrations: { new_tag, steps } };
}

async function make(script: string, ...classes: readonly string[]): Promise<Answer> {
  const made = await deploy(
    script,
    form(classes, migrations("v1", { new_sqlite_classes: classes })),
  );
  expect(made.errors).toEqual([]);
  return made;
}

interface Namespace {
  readonly id: string;
  readonly script: string;
  readonly class: string;
}

async function classesOf(script: string): Promise<Record<string, string>> {
  const { result } = await call("GET", `${OBJECTS}?per_page=1000`);
  const own = (result as Namespace[]).filter((found) => found.script === script);
  return Object.fromEntries(own.map((found) => [found.class, found.id]));
}

async function resolve(script: string): Promise<ScriptState> {
  return (await edgeGate.fetch(`http://hub/resolve?namespace=production&script=${script}`)).json();
}

function refusal(code: number, message: string | RegExp) {
  return { errors: [{ code, message: expect.stringMatching(message) as string }] };
}

describe("a script with classes", () => {
  it("has a stateful cell, and edges and the supervisor are told so", async () => {
    const metadata = { ...migrations("v1", { new_classes: ["Old"], new_sqlite_classes: ["New"] }) };
    const answer = await deploy(
      "both",
      form(["Old", "New"], { ...metadata, bindings: [bound("NEW", "New")] }),
    );
    expect(answer.result).toMatchObject({ id: "both", migration_tag: "v1" });
    const { Old, New } = await classesOf("both");
    expect(Old).toMatch(/^[0-9a-f]{32}$/);
    const versionId = answer.result.deployment_id;
    expect(await resolve("both")).toMatchObject({
      versionId,
      objectKeys: [New, Old],
      place: { kind: "dedicated", why: "has Durable Objects" },
    });
    const classes = [
      { key: New, className: "New" },
      { key: Old, className: "Old" },
    ];
    const bundle = await activeBundle("both");
    expect(bundle).toMatchObject({
      objects: { scriptId: answer.result.tag, classes },
      env: {
        NEW: {
          type: "durable-object-namespace",
          namespace: "production",
          owner: "both",
          className: "New",
          key: New,
        },
      },
    });
    await supervisorCalls();
    await edgeGate.fetch(`http://hub/cell?version=${versionId}`);
    expect(await supervisorCalls()).toMatchObject([
      {
        path: "/cells/assign",
        body: { versionId, objects: { scriptId: answer.result.tag, classes } },
      },
    ]);
    const listed = await call("GET", `${OBJECTS}/${New}`);
    expect(listed.result).toEqual({
      id: New,
      name: "both_New",
      script: "both",
      class: "New",
      use_sqlite: true,
      dispatch_namespace: "production",
    });
    expect((await call("GET", `${OBJECTS}/${Old}`)).result).toMatchObject({ use_sqlite: false });
    expect((await call("GET", scriptPath("both"))).result).toMatchObject({
      script: { migration_tag: "v1" },
      place: { kind: "dedicated" },
    });
    const settings = await call("GET", `${scriptPath("both")}/settings`);
    expect(settings.result.bindings).toEqual([{ ...bound("NEW", "New"), namespace_id: New }]);
  });

  it("keeps them with deploys that say nothing of them, and with changes of secrets", async () => {
    await make("kept", "Room");
    const { Room } = await classesOf("kept");
    expect(
      (await deploy("kept", form(["Room"], { bindings: [bound("R", "Room")] }))).errors,
    ).toEqual([]);
    const secret = { name: "S", text: "x", type: "secret_text" };
    expect((await call("PUT", `${scriptPath("kept")}/secrets`, secret)).errors).toEqual([]);
    expect(await classesOf("kept")).toEqual({ Room });
    expect((await activeBundle("kept")).env["R"]).toMatchObject({ key: Room });
  });

  it("lists its objects page by page", async () => {
    await make("listed", "Room");
    const { Room } = await classesOf("listed");
    const first = await call("GET", `${OBJECTS}/${Room}/objects?limit=10`);
    expect(first.result).toHaveLength(10);
    expect(first.result[0]).toEqual({ id: "0".repeat(64), hasStoredData: true });
    const { cursor } = first.result_info as unknown as { cursor: string };
    const second = await call("GET", `${OBJECTS}/${Room}/objects?limit=10&cursor=${cursor}`);
    expect(second.result).toHaveLength(2);
    expect(second.result_info).not.toHaveProperty("cursor");
    expect(await call("GET", `${OBJECTS}/${Room}/objects?cursor=../x`)).toMatchObject(
      refusal(10021, "cursor"),
    );
    expect(await call("GET", `${OBJECTS}/${"f".repeat(32)}/objects`)).toMatchObject(
      refusal(930081, "no Durable Object namespace"),
    );
  });

  it("deletes one of its objects", async () => {
    await make("emptied", "Room");
    const { Room } = await classesOf("emptied");
    const id = "0".repeat(64);
    await supervisorCalls();
    expect((await call("DELETE", `${OBJECTS}/${Room}/objects/${id}`)).errors).toEqual([]);
    const calls = await supervisorCalls();
    expect(calls.map(({ path }) => path)).toEqual([
      expect.stringMatching(new RegExp(`^/objects\\?script=[0-9a-f-]+&key=${Room}&id=${id}$`)),
    ]);
    expect(await call("DELETE", `${OBJECTS}/${Room}/objects/one`)).toMatchObject(
      refusal(10021, "'one' is no id of an object"),
    );
    const token = await limitedToken("no-data", { permissions: ["read", "deploy"] });
    const authorization = `Bearer ${token}`;
    const path = `${OBJECTS}/${Room}/objects/${id}`;
    expect((await call("DELETE", path, undefined, { authorization })).status).toBe(403);
  });

  it("shows them to tokens of its namespace only", async () => {
    await make("hidden", "Room");
    const { Room } = await classesOf("hidden");
    const token = await limitedToken("of-other", { namespaces: ["other"], permissions: ["read"] });
    const authorization = `Bearer ${token}`;
    expect((await call("GET", OBJECTS, undefined, { authorization })).result).toEqual([]);
    for (const path of [Room, `${Room}/objects`]) {
      const answer = await call("GET", `${OBJECTS}/${path}`, undefined, { authorization });
      expect(answer.status).toBe(404);
    }
  });
});

describe("migrations", () => {
  it("go on from the tag that is there, and from no other", async () => {
    await make("tagged", "A");
    const again = await deploy(
      "tagged",
      form(["A"], migrations("v1", { new_sqlite_classes: ["A"] })),
    );
    expect(again.status).toBe(412);
    expect(again).toMatchObject(refusal(10079, "got tag '' when expected tag is 'v1'"));
    const wrong = {
      migrations: { old_tag: "v0", new_tag: "v2", steps: [{ new_sqlite_classes: ["B"] }] },
    };
    expect(await deploy("tagged", form(["A", "B"], wrong))).toMatchObject(
      refusal(10079, "'v0'.*'v1'"),
    );
    const next = { migrations: { ...wrong.migrations, old_tag: "v1" } };
    expect((await deploy("tagged", form(["A", "B"], next))).result.migration_tag).toBe("v2");
    expect(Object.keys(await classesOf("tagged"))).toEqual(["A", "B"]);
  });

  it("rename a class, whose key and bindings stay", async () => {
    await make("renamed", "Before");
    const { Before } = await classesOf("renamed");
    const user = form([], { bindings: [bound("B", "Before", "renamed")] });
    expect((await deploy("renamed-user", user)).errors).toEqual([]);
    await supervisorCalls();
    const step = { renamed_classes: [{ from: "Before", to: "After" }] };
    const metadata = {
      migrations: { old_tag: "v1", new_tag: "v2", steps: [step] },
      bindings: [bound("OWN", "After")],
    };
    expect((await deploy("renamed", form(["After"], metadata))).errors).toEqual([]);
    expect(await classesOf("renamed")).toEqual({ After: Before });
    const calls = await supervisorCalls();
    expect(calls.map(({ path }) => path)).not.toContain("/objects/changes");
    expect((await activeBundle("renamed-user")).env["B"]).toMatchObject({
      owner: "renamed",
      className: "After",
      key: Before,
    });
  });

  it("delete a class: its files go before edges hear of the new version", async () => {
    await make("deleting", "Gone", "Stays");
    const { Gone, Stays } = await classesOf("deleting");
    const { tag } = (await call("GET", scriptPath("deleting"))).result.script;
    await supervisorCalls();
    const steps = [{ deleted_classes: ["Gone"] }];
    const metadata = { migrations: { old_tag: "v1", new_tag: "v2", steps } };
    expect((await deploy("deleting", form(["Stays"], metadata))).errors).toEqual([]);
    expect(await classesOf("deleting")).toEqual({ Stays });
    expect(await supervisorCalls()).toMatchObject([
      {
        path: "/objects/changes",
        body: { changes: [{ type: "delete", key: Gone, scriptId: tag }] },
      },
      { path: "/routing" },
    ]);
  });

  it("transfer a class from another script of the namespace", async () => {
    await make("giver", "Room", "Other");
    await make("taker", "Own");
    const { Room } = await classesOf("giver");
    const [from, to] = await Promise.all(
      ["giver", "taker"].map(
        async (name) => (await call("GET", scriptPath(name))).result.script.tag,
      ),
    );
    await supervisorCalls();
    const steps = [{ transferred_classes: [{ from: "Room", from_script: "giver", to: "Hall" }] }];
    const metadata = { migrations: { old_tag: "v1", new_tag: "v2", steps } };
    expect((await deploy("taker", form(["Own", "Hall"], metadata))).errors).toEqual([]);
    expect((await classesOf("taker"))["Hall"]).toBe(Room);
    expect(Object.keys(await classesOf("giver"))).toEqual(["Other"]);
    const [first] = await supervisorCalls();
    expect(first).toEqual({
      path: "/objects/changes",
      body: { changes: [{ type: "transfer", key: Room, fromScriptId: from, toScriptId: to }] },
    });
  });

  it("change nothing if the upload is refused", async () => {
    await make("atomic", "A");
    const { versionId } = await resolve("atomic");
    const steps = [{ deleted_classes: ["A"] }, { new_sqlite_classes: ["Missing"] }];
    const metadata = { migrations: { old_tag: "v1", new_tag: "v2", steps } };
    expect(await deploy("atomic", form(["A"], metadata))).toMatchObject(
      refusal(10070, "'Missing' that is not exported"),
    );
    expect(Object.keys(await classesOf("atomic"))).toEqual(["A"]);
    expect((await call("GET", scriptPath("atomic"))).result.script.migration_tag).toBe("v1");
    expect((await resolve("atomic")).versionId).toBe(versionId);
  });

  it("wait for the supervisor: no stateful cell is made before it has done its part", async () => {
    await make("waiting", "Gone", "Stays");
    const steps = [{ deleted_classes: ["Gone"] }];
    const metadata = { migrations: { old_tag: "v1", new_tag: "v2", steps } };
    await failSupervisor("/objects/changes", 2);
    const answer = await deploy("waiting", form(["Stays"], metadata));
    expect(answer.status).toBe(503);
    expect(answer).toMatchObject(refusal(10013, "is stored"));
    const { versionId } = await resolve("waiting");
    await supervisorCalls();
    expect((await edgeGate.fetch(`http://hub/cell?version=${versionId}`)).status).toBe(503);
    expect((await edgeGate.fetch(`http://hub/cell?version=${versionId}`)).status).toBe(200);
    const paths = (await supervisorCalls()).map(({ path }) => path);
    expect(paths.filter((path) => path !== "/routing")).toEqual([
      "/objects/changes",
      "/cells/assign",
    ]);
  });

  it.each<[string, object, readonly string[], number, string]>([
    [
      "of a class that is there",
      { new_sqlite_classes: ["A"] },
      ["A"],
      10074,
      "new-class migration to class 'A'",
    ],
    [
      "onto a class that is there",
      { renamed_classes: [{ from: "A", to: "B" }] },
      ["A", "B"],
      10074,
      "'B'",
    ],
    [
      "of a class that is not there",
      { renamed_classes: [{ from: "X", to: "Y" }] },
      ["Y"],
      10061,
      "'X'",
    ],
    ["deleting what is not there", { deleted_classes: ["X"] }, ["A", "B"], 10061, "'X'"],
    [
      "from a script without the class",
      { transferred_classes: [{ from: "X", from_script: "refusing", to: "Y" }] },
      ["Y"],
      10061,
      "transfer-class",
    ],
    ["that leave a class without code", {}, ["B"], 10064, "does not export class 'A'"],
    [
      "with a name that is none",
      { new_sqlite_classes: ["a-b"] },
      [],
      10021,
      "not the name of an exported class",
    ],
  ])("are refused %s", async (_, step, exported, code, message) => {
    if (Object.keys(await classesOf("refusing")).length === 0) await make("refusing", "A", "B");
    const metadata = { migrations: { old_tag: "v1", new_tag: "v2", steps: [step] } };
    expect(await deploy("refusing", form(exported, metadata))).toMatchObject(
      refusal(code, message),
    );
  });

  it("make no more classes than a script may have", async () => {
    const some = Array.from({ length: 90 }, (_, index) => `Class${index}`);
    await make("many", ...some);
    const more = Array.from({ length: 11 }, (_, index) => `More${index}`);
    const steps = [{ new_sqlite_classes: more }];
    const metadata = { migrations: { old_tag: "v1", new_tag: "v2", steps } };
    expect(await deploy("many", form(some, metadata))).toMatchObject(
      refusal(10021, "more than 100 classes"),
    );
    expect(Object.keys(await classesOf("many"))).toHaveLength(90);
  });

  it("are in the audit log", async () => {
    await make("audited", "Room");
    const { Room } = await classesOf("audited");
    const target = encodeURIComponent("production/audited");
    const { result } = await call("GET", `/accounts/${ACCOUNT}/audit_logs?target=${target}`);
    expect(JSON.stringify(result)).toContain(`"class Room":"${Room}"`);
  });

  it("come with deploys only", async () => {
    await make("deployed-only", "A");
    const path = `${scriptPath("deployed-only")}/versions`;
    const metadata = {
      migrations: { old_tag: "v1", new_tag: "v2", steps: [{ new_sqlite_classes: ["B"] }] },
    };
    expect(await call("POST", path, form(["A", "B"], metadata))).toMatchObject(
      refusal(10211, "fully applied"),
    );
    const settings = uploadForm({});
    settings.set("settings", JSON.stringify(metadata));
    expect(await call("PATCH", `${scriptPath("deployed-only")}/settings`, settings)).toMatchObject(
      refusal(10021, "settings.migrations"),
    );
  });
});

describe("exports", () => {
  const live = { type: "durable-object", storage: "sqlite" };

  it("make, rename and delete classes as they are declared, again and again", async () => {
    const first = { exports: { Room: live, Hall: { ...live, storage: "legacy-kv" } } };
    for (const _ of [1, 2]) {
      expect((await deploy("declared", form(["Room", "Hall"], first))).errors).toEqual([]);
    }
    const { Room } = await classesOf("declared");
    const second = {
      exports: {
        Room: { type: "durable-object", state: "renamed", renamed_to: "Chamber" },
        Chamber: live,
        Hall: { type: "durable-object", state: "deleted" },
      },
    };
    for (const _ of [1, 2]) {
      expect((await deploy("declared", form(["Chamber"], second))).errors).toEqual([]);
    }
    expect(await classesOf("declared")).toEqual({ Chamber: Room });
  });

  it("say what is wrong with them as wrangler shows it", async () => {
    await make("undeclared", "Room");
    const answer = await deploy("undeclared", form(["Room", "Hall"], { exports: { Hall: live } }));
    expect(answer.errors).toMatchObject([
      { code: 100402, meta: { details: [{ class: "Room", scenario: "undeclared" }] } },
    ]);
    const other = { exports: { Room: { ...live, storage: "legacy-kv" } } };
    expect(await deploy("undeclared", form(["Room"], other))).toMatchObject(
      refusal(100402, "cannot be changed"),
    );
    const both = { exports: { Room: live }, ...migrations("v2", {}) };
    expect(await deploy("undeclared", form(["Room"], both))).toMatchObject(
      refusal(10021, "both migrations and exports"),
    );
    for (const entry of [
      { type: "workflow" },
      { type: "durable-object", state: "transferred", transferred_to: "x" },
    ]) {
      expect(
        await deploy("undeclared", form(["Room"], { exports: { Room: entry } })),
      ).toMatchObject(refusal(10021, "not supported"));
    }
  });
});

describe("bindings to classes", () => {
  it("lead to classes of the script itself or of one of its namespace, and to no others", async () => {
    await make("owner", "Room");
    const own = form(["Room"], { bindings: [bound("R", "Nothing")] });
    expect(await deploy("owner", own)).toMatchObject(
      refusal(10061, "class 'Nothing'.*script 'owner'"),
    );
    const none = form([], { bindings: [bound("R", "Room", "nobody")] });
    expect(await deploy("stranger", none)).toMatchObject(refusal(10061, "script 'nobody'"));
    const elsewhere = form([], { bindings: [bound("R", "Room", "owner")] });
    expect(await call("PUT", scriptPath("x", "other"), elsewhere)).toMatchObject(
      refusal(10061, "script 'owner'"),
    );
    const account = `/accounts/${ACCOUNT}/workers/scripts/x`;
    expect(
      await call("PUT", account, form([], { bindings: [bound("R", "Room", "owner")] })),
    ).toMatchObject(refusal(10061, "'owner'"));
  });

  it("keep the class and its script from being deleted", async () => {
    await make("used", "Room");
    const user = form([], { bindings: [bound("R", "Room", "used")] });
    expect((await deploy("user", user)).errors).toEqual([]);
    const steps = [{ deleted_classes: ["Room"] }];
    const metadata = { migrations: { old_tag: "v1", new_tag: "v2", steps } };
    expect(await deploy("used", form([], metadata))).toMatchObject(refusal(10061, "from 'user'"));
    expect(await call("DELETE", scriptPath("used"))).toMatchObject(
      refusal(930080, "'user' has bindings"),
    );
    const { Room } = await classesOf("used");
    await supervisorCalls();
    expect((await call("DELETE", `${scriptPath("used")}?force=true`)).success).toBe(true);
    const [first] = await supervisorCalls();
    expect(first).toMatchObject({
      path: "/objects/changes",
      body: { changes: [{ type: "delete", key: Room }] },
    });
    expect((await activeBundle("user")).env["R"]).toMatchObject({
      key: Room,
      className: "Room",
    });
  });

  it("of the version itself keep its class from being deleted, too", async () => {
    await make("bound-itself", "Room");
    const steps = [{ deleted_classes: ["Room"] }];
    const metadata = {
      migrations: { old_tag: "v1", new_tag: "v2", steps },
      bindings: [bound("R", "Room")],
    };
    expect(await deploy("bound-itself", form([], metadata))).toMatchObject(
      refusal(10061, "also removing the binding"),
    );
  });

  it("are shown to whoever is about to delete an account Worker", async () => {
    const worker = (name: string) => `/accounts/${ACCOUNT}/workers/scripts/${name}`;
    const made = form(["Room"], migrations("v1", { new_sqlite_classes: ["Room"] }));
    expect((await call("PUT", worker("account-owner"), made)).errors).toEqual([]);
    const user = form([], { bindings: [bound("R", "Room", "account-owner")] });
    expect((await call("PUT", worker("account-user"), user)).errors).toEqual([]);
    const references = await call("GET", `${worker("account-owner")}/references`);
    expect(references.result.durable_objects).toMatchObject([
      { service: "account-user", durable_object_namespace_name: "account-owner_Room" },
    ]);
    const service = await call("GET", `/accounts/${ACCOUNT}/workers/services/account-owner`);
    expect(service.result.default_environment.script.migration_tag).toBe("v1");
  });
});

describe("deployments of a script with classes", () => {
  const share = (...versions: readonly (readonly [string, number])[]) => ({
    strategy: "percentage",
    versions: versions.map(([version_id, percentage]) => ({ version_id, percentage })),
  });

  it("are of one version, which has all of its classes", async () => {
    const first = (await make("single", "A")).result.deployment_id;
    const path = scriptPath("single");
    const second = (await call("POST", `${path}/versions`, form(["A"]))).result;
    expect(second.metadata.has_preview).toBe(false);
    expect(
      await call("POST", `${path}/deployments`, share([first, 50], [second.id, 50])),
    ).toMatchObject(refusal(10021, "single version"));
    expect(await call("POST", `${path}/rollout`, { version_id: second.id })).toMatchObject(
      refusal(10021, "single version"),
    );
    expect((await call("POST", `${path}/deployments`, share([second.id, 100]))).success).toBe(true);
    const metadata = {
      migrations: { old_tag: "v1", new_tag: "v2", steps: [{ new_sqlite_classes: ["B"] }] },
    };
    expect((await deploy("single", form(["A", "B"], metadata))).errors).toEqual([]);
    expect(await call("POST", `${path}/deployments`, share([first, 100]))).toMatchObject(
      refusal(10021, "does not export the class 'B'"),
    );
  });

  it("leave no other version to be called by a preview's name", async () => {
    await make("previewed", "A");
    const { result } = await call("POST", `${scriptPath("previewed")}/versions`, form(["A"]));
    const preview = `${result.id.slice(0, 8)}-previewed`;
    expect(await resolve(preview)).toMatchObject({ versionId: null });
    expect((await edgeGate.fetch(`http://hub/cell?version=${result.id}`)).status).toBe(404);
    await call("POST", `${scriptPath("previewed")}/deployments`, share([result.id, 100]));
    expect(await resolve(preview)).toMatchObject({
      versionId: result.id,
      objectKeys: [expect.any(String)],
    });
  });
});
