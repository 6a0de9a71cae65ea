/**
 * The seccomp filter of processes that run tenants' code, as a classic BPF program: what workerd never asks the
 * kernel for is refused (EPERM), so that whoever breaks out of V8 finds less of the kernel to attack next. All
 * else is allowed, since a list of what workerd needs would differ between its versions and machines.
 *
 * It is in force before workerd is started, so starting a program cannot be refused; inside the sandbox there is
 * no program to start but workerd itself, and no process can be made.
 */
import {
  ARCHITECTURES,
  CLONE,
  CLONE3,
  REFUSED_CALLS,
  SOCKET,
  type Architecture,
} from "./system-calls.ts";

// <linux/filter.h>: load a word at an offset, jump if it is equal to, not below, or shares bits with a value.
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_NOT_BELOW = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;

// struct seccomp_data of <linux/seccomp.h>; arguments are 64 bits wide, the low half first on both architectures.
const NUMBER = 0;
const ARCHITECTURE = 4;
const FIRST_ARGUMENT = 16;

const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const refuse = (errno: number) => 0x00050000 | errno;
const EPERM = 1;
const ENOSYS = 38;

/** Calls of the x32 ABI, which has numbers of its own for the same calls. */
const X32_BIT = 0x40000000;

const AF_UNIX = 1;
const CLONE_THREAD = 0x00010000;
/** CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of <linux/sched.h>. */
const NEW_NAMESPACES = 0x7e020080;

/** As the kernel takes it. undefined: nobody knows this machine's system calls here. */
export function seccompFilter(architecture: string): Buffer | undefined {
  if (!(architecture in ARCHITECTURES)) return undefined;
  return assemble(filterOf(architecture as Architecture));
}

interface Instruction {
  readonly code: number;
  readonly value: number;
  /** How many instructions to leave out if the comparison holds, or does not. */
  readonly matched?: number;
  readonly otherwise?: number;
}

function filterOf(architecture: Architecture): Instruction[] {
  const { audit, column } = ARCHITECTURES[architecture];
  const result = (value: number): Instruction => ({ code: RETURN, value });
  const load = (offset: number): Instruction => ({ code: LOAD, value: offset });
  const denied = result(refuse(EPERM));
  /** Goes on to the next line if the number is another one. */
  const onCall = (number: number, ...rest: Instruction[]): Instruction[] => [
    { code: JUMP_EQUAL, value: number, otherwise: rest.length },
    ...rest,
  ];
  return [
    load(ARCHITECTURE),
    { code: JUMP_EQUAL, value: audit, matched: 1 },
    result(KILL_PROCESS),
    load(NUMBER),
    { code: JUMP_NOT_BELOW, value: X32_BIT, otherwise: 1 },
    denied,
    ...REFUSED_CALLS.flatMap((call) => {
      const number = call[column];
      return number === null ? [] : onCall(number, denied);
    }),
    // Its flags are behind a pointer. The C library takes the older call when it is told that there is no such one.
    ...onCall(CLONE3[column], result(refuse(ENOSYS))),
    // Threads, but neither processes nor namespaces.
    ...onCall(
      CLONE[column],
      load(FIRST_ARGUMENT),
      { code: JUMP_ANY_BIT, value: NEW_NAMESPACES, matched: 1 },
      { code: JUMP_ANY_BIT, value: CLONE_THREAD, matched: 1 },
      denied,
      result(ALLOW),
    ),
    // TCP sockets are inherited from the supervisor.
    ...onCall(
      SOCKET[column],
      load(FIRST_ARGUMENT),
      { code: JUMP_EQUAL, value: AF_UNIX, matched: 1 },
      denied,
      result(ALLOW),
    ),
    result(ALLOW),
  ];
}

/** struct sock_filter: code, two jump distances, value. Both architectures are little-endian. */
function assemble(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(8 * instructions.length);
  for (const [index, { code, value, matched = 0, otherwise = 0 }] of instructions.entries()) {
    bytes.writeUInt16LE(code, 8 * index);
    bytes.writeUInt8(matched, 8 * index + 2);
    bytes.writeUInt8(otherwise, 8 * index + 3);
    bytes.writeUInt32LE(value, 8 * index + 4);
  }
  return bytes;
}
