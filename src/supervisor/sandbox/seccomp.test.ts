// What the filter answers to a system call, as the kernel would compute it. That the kernel takes it, and workerd
// runs under it, is tested in sandbox.test.ts.
import { expect, test } from "vitest";
import { seccompFilter } from "./seccomp.ts";
import { ARCHITECTURES, REFUSED_CALLS } from "./system-calls.ts";

const ALLOWED = 0x7fff0000;
const KILLED = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;

/** Runs the program; it may use the instructions of seccomp.ts and no others. */
function answer(filter: Buffer, audit: number, number: number, firstArgument = 0): number {
  const words = new Map([
    [0, number],
    [4, audit],
    [16, firstArgument],
  ]);
  let register = 0;
  for (let at = 0; ; at += 8) {
    const code = filter.readUInt16LE(at);
    const value = filter.readUInt32LE(at + 4);
    const jump = (holds: boolean) => (at += 8 * filter.readUInt8(at + (holds ? 2 : 3)));
    if (code === 0x06) return value;
    else if (code === 0x20) register = words.get(value) ?? Number.NaN;
    else if (code === 0x15) jump(register === value);
    else if (code === 0x35) jump(register >= value);
    else if (code === 0x45) jump((register & value) !== 0);
    else throw new Error(`instruction ${code}`);
  }
}

const AUDIT = { x64: ARCHITECTURES.x64.audit, arm64: ARCHITECTURES.arm64.audit };

test.each([
  // Numbers of read, mmap, futex, connect, accept4, execve, tgkill, prctl.
  ["x64", [0, 9, 202, 42, 288, 59, 234, 157]],
  ["arm64", [63, 222, 98, 203, 242, 221, 131, 167]],
] as const)("lets %s do what workerd does", (architecture, numbers) => {
  const filter = seccompFilter(architecture) ?? Buffer.alloc(0);
  for (const number of numbers) {
    expect([number, answer(filter, AUDIT[architecture], number)]).toEqual([number, ALLOWED]);
  }
});

test.each(["x64", "arm64"] as const)("refuses on %s what workerd never does", (architecture) => {
  const filter = seccompFilter(architecture) ?? Buffer.alloc(0);
  const { column, audit } = ARCHITECTURES[architecture];
  const answers = REFUSED_CALLS.filter((call) => call[column] !== null).map(
    (call) => [call[0], answer(filter, audit, call[column] ?? 0)] as const,
  );
  expect(answers.length).toBeGreaterThan(50);
  expect(answers.filter(([, result]) => result !== EPERM)).toEqual([]);
});

test.each([
  ["x64", { clone: 56, clone3: 435, socket: 41 }],
  ["arm64", { clone: 220, clone3: 435, socket: 198 }],
] as const)("lets %s make threads and unix sockets only", (architecture, calls) => {
  const filter = seccompFilter(architecture) ?? Buffer.alloc(0);
  const ask = (number: number, argument = 0) =>
    answer(filter, AUDIT[architecture], number, argument);
  // CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | SETTLS | PARENT_SETTID | CHILD_CLEARTID of pthread_create.
  const THREAD = 0x003d0f00;
  const SIGCHLD = 17;
  const NEWUSER = 0x10000000;
  expect(ask(calls.clone, THREAD)).toBe(ALLOWED);
  expect(ask(calls.clone, SIGCHLD)).toBe(EPERM);
  expect(ask(calls.clone, (THREAD | NEWUSER) >>> 0)).toBe(EPERM);
  expect(ask(calls.clone3)).toBe(ENOSYS);
  const [UNIX, INET, INET6, NETLINK, PACKET] = [1, 2, 10, 16, 17];
  expect(ask(calls.socket, UNIX)).toBe(ALLOWED);
  for (const family of [INET, INET6, NETLINK, PACKET]) {
    expect([family, ask(calls.socket, family)]).toEqual([family, EPERM]);
  }
});

test("gives no way around it by the calls of another architecture", () => {
  const filter = seccompFilter("x64") ?? Buffer.alloc(0);
  const [READ, X32_READ, AUDIT_ARCH_I386] = [0, 0x40000000, 0x40000003];
  expect(answer(filter, AUDIT.x64, X32_READ)).toBe(EPERM);
  expect(answer(filter, AUDIT_ARCH_I386, READ)).toBe(KILLED);
});

test("has no filter for a machine whose calls it does not know", () => {
  expect(seccompFilter("ppc64")).toBeUndefined();
});
