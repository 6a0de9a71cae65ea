/** The host's files: through every way in which Node-compatible code reads files. */
import type { Probe } from "./probe.ts";

const TARGETS = `const { files, run } = JSON.parse(decodeURIComponent(request.headers.get("x-targets")));`;

export const files: readonly Probe[] = [
  {
    name: "a function reads no file of the host with node:fs",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import { attempt } from "./attempt.js";
      import fs from "node:fs";
      import fsp from "node:fs/promises";
      export default { fetch(request) {
        ${TARGETS}
        const ways = { control: () => {
          fs.writeFileSync("/tmp/own", "own");
          return fs.readFileSync("/tmp/own", "utf8");
        } };
        for (const file of files) {
          ways["readFileSync " + file] = () => fs.readFileSync(file, "utf8");
          ways["open " + file] = () => { const fd = fs.openSync(file, "r"); const b = Buffer.alloc(100); fs.readSync(fd, b); return b.toString(); };
          ways["promises " + file] = () => fsp.readFile(file, "utf8");
          ways["readdir " + file] = () => fs.readdirSync(file).join();
          ways["stat " + file] = () => fs.statSync(file).size > 0;
          ways["link " + file] = () => { fs.symlinkSync(file, "/tmp/l"); return fs.readFileSync("/tmp/l", "utf8"); };
          ways["up " + file] = () => fs.readFileSync("/bundle/../../../../.." + file, "utf8");
          ways["url " + file] = () => fs.readFileSync(new URL("file://" + file), "utf8");
          ways["copy " + file] = () => { fs.copyFileSync(file, "/tmp/c"); return fs.readFileSync("/tmp/c", "utf8"); };
        }
        ways["run"] = () => fs.readdirSync(run).join();
        ways["root"] = () => fs.readdirSync("/").filter((name) => !["bundle", "tmp", "dev"].includes(name)).join();
        ways["/dev"] = () => fs.readdirSync("/dev").filter((name) => !["null", "zero", "full", "random", "urandom"].includes(name)).join();
        return attempt(ways);
      } };`,
  },
  {
    name: "a function reads no file through fetch, import or a worker of its own",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import { attempt, reach } from "./attempt.js";
      import { createRequire } from "node:module";
      export default { fetch(request) {
        ${TARGETS}
        const ways = {};
        for (const file of files) {
          ways["fetch " + file] = () => reach("file://" + file);
          ways["import " + file] = async () => JSON.stringify(await import(file));
          ways["import url " + file] = async () => JSON.stringify(await import("file://" + file));
          ways["require " + file] = () => createRequire("/bundle/index.js")(file);
        }
        ways["data url"] = async () => (await import("data:text/javascript,export default 1")).default;
        ways["blob url"] = async () => (await import(URL.createObjectURL(new Blob(["export default 1"])))).default;
        return attempt(ways);
      } };`,
  },
  {
    name: "a function starts no process, thread or server on the host",
    upload: { flags: ["nodejs_compat"] },
    source: `
      import { attempt } from "./attempt.js";
      const use = async (module, way) => way(await import(module));
      export default { fetch: () => attempt({
        exec: () => use("node:child_process", ({ execSync }) => String(execSync("id"))),
        spawn: () => use("node:child_process", ({ spawnSync }) => spawnSync("id").stdout.toString()),
        thread: () => use("node:worker_threads", ({ Worker }) => new Worker("1", { eval: true }).threadId),
        cluster: () => use("node:cluster", ({ default: c }) => c.fork().id),
        vm: () => use("node:vm", ({ runInThisContext }) => runInThisContext("1 + 1")),
        inspector: () => use("node:inspector", ({ open, url }) => (open(0), url())),
        addon: () => process.dlopen({ exports: {} }, "/lib/x86_64-linux-gnu/libc.so.6") ?? "loaded",
        binding: () => Object.keys(process.binding("fs")).join(),
        linked: () => Object.keys(process._linkedBinding("fs")).join(),
        kill: () => process.kill(1, 0),
        user: () => use("node:os", ({ userInfo }) => userInfo().username).then((name) => name === "" || name === "unknown" ? null : name),
        heap: () => use("node:v8", ({ writeHeapSnapshot }) => writeHeapSnapshot("/tmp/heap")),
      }) };`,
  },
];
