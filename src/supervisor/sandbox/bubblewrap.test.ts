import { expect, test } from "vitest";
import { bubblewrapCommand } from "./bubblewrap.ts";

const view = {
  binary: "/opt/workerd",
  workingDirectory: "/data/run",
  readOnly: ["/data/run/cell.7.capnp", "/data/run/egress"],
  writable: ["/data/run/cells/7"],
};
const bubblewrap = { path: "/usr/bin/bwrap", libraries: ["/lib/libc.so.6"] };

test("leaves a process alone in namespaces of its own, without rights or environment", () => {
  const command = bubblewrapCommand(bubblewrap, view, { info: 5 });
  expect(command[0]).toBe("/usr/bin/bwrap");
  for (const option of ["user", "pid", "net", "ipc", "uts"]) {
    expect(command).toContain(`--unshare-${option}`);
  }
  expect(command.join(" ")).toContain("--cap-drop ALL --clearenv --die-with-parent");
});

test("shows exactly what was asked for, and only the directory of its own sockets to write to", () => {
  const command = bubblewrapCommand(bubblewrap, view, { info: 5 });
  const bound = (option: string) =>
    command.flatMap((word, index) =>
      word === option ? [command.slice(index + 1, index + 3).join(" as ")] : [],
    );
  expect(bound("--ro-bind")).toEqual([
    "/opt/workerd as /opt/workerd",
    "/lib/libc.so.6 as /lib/libc.so.6",
    "/data/run/cell.7.capnp as /data/run/cell.7.capnp",
    "/data/run/egress as /data/run/egress",
  ]);
  expect(bound("--bind")).toEqual(["/data/run/cells/7 as /data/run/cells/7"]);
  expect(bound("--dev-bind")).toEqual(["/dev/urandom as /dev/urandom"]);
  // After the mounts: bubblewrap obeys in the order of its arguments.
  const [lastMount, seal] = [command.lastIndexOf("--bind"), command.indexOf("--remount-ro")];
  expect(command.slice(seal, seal + 2)).toEqual(["--remount-ro", "/"]);
  expect(seal).toBeGreaterThan(lastMount);
});

test("ends with the program, so that its arguments can follow", () => {
  const command = bubblewrapCommand(bubblewrap, view, { info: 5, seccomp: 6 });
  expect(command.slice(-4)).toEqual(["--chdir", "/data/run", "--", "/opt/workerd"]);
  expect(command.join(" ")).toContain("--info-fd 5 --seccomp 6");
});
