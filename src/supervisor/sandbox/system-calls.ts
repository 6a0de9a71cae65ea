/**
 * Numbers of Linux system calls on the architectures that workerd is built for, from <asm/unistd.h>: those that
 * the sandbox refuses, and those whose arguments decide.
 */
export const ARCHITECTURES = {
  /** `audit`: what the kernel calls the architecture, of <linux/audit.h>. `column`: where its numbers stand below. */
  x64: { audit: 0xc000003e, column: 1 },
  arm64: { audit: 0xc00000b7, column: 2 },
} as const;

export type Architecture = keyof typeof ARCHITECTURES;

type SystemCall = readonly [name: string, x64: number | null, arm64: number | null];

export const CLONE = ["clone", 56, 220] as const satisfies SystemCall;
export const CLONE3 = ["clone3", 435, 435] as const satisfies SystemCall;
export const SOCKET = ["socket", 41, 198] as const satisfies SystemCall;

/** null: the architecture has no such call. */
export const REFUSED_CALLS: readonly SystemCall[] = [
  // Other processes.
  ["fork", 57, null],
  ["vfork", 58, null],
  ["ptrace", 101, 117],
  ["process_vm_readv", 310, 270],
  ["process_vm_writev", 311, 271],
  ["process_madvise", 440, 440],
  ["process_mrelease", 448, 448],
  ["kcmp", 312, 272],
  ["pidfd_open", 434, 434],
  ["pidfd_getfd", 438, 438],
  ["pidfd_send_signal", 424, 424],
  ["execveat", 322, 281],
  // The file system's shape, and ways around it.
  ["mount", 165, 40],
  ["umount2", 166, 39],
  ["pivot_root", 155, 41],
  ["chroot", 161, 51],
  ["move_mount", 429, 429],
  ["open_tree", 428, 428],
  ["open_tree_attr", 467, 467],
  ["fsopen", 430, 430],
  ["fsconfig", 431, 431],
  ["fsmount", 432, 432],
  ["fspick", 433, 433],
  ["mount_setattr", 442, 442],
  ["statmount", 457, 457],
  ["listmount", 458, 458],
  ["mknod", 133, null],
  ["mknodat", 259, 33],
  ["name_to_handle_at", 303, 264],
  ["open_by_handle_at", 304, 265],
  ["fanotify_init", 300, 262],
  ["quotactl", 179, 60],
  ["quotactl_fd", 443, 443],
  ["swapon", 167, 224],
  ["swapoff", 168, 225],
  // Namespaces, terminals.
  ["unshare", 272, 97],
  ["setns", 308, 268],
  ["vhangup", 153, 58],
  // Large and young parts of the kernel.
  ["bpf", 321, 280],
  ["perf_event_open", 298, 241],
  ["userfaultfd", 323, 282],
  ["io_uring_setup", 425, 425],
  ["io_uring_enter", 426, 426],
  ["io_uring_register", 427, 427],
  ["add_key", 248, 217],
  ["request_key", 249, 218],
  ["keyctl", 250, 219],
  ["memfd_secret", 447, 447],
  // The kernel itself and the machine.
  ["kexec_load", 246, 104],
  ["kexec_file_load", 320, 294],
  ["init_module", 175, 105],
  ["finit_module", 313, 273],
  ["delete_module", 176, 106],
  ["reboot", 169, 142],
  ["syslog", 103, 116],
  ["acct", 163, 89],
  ["settimeofday", 164, 170],
  ["clock_settime", 227, 112],
  ["clock_adjtime", 305, 266],
  ["adjtimex", 159, 171],
  ["sethostname", 170, 161],
  ["setdomainname", 171, 162],
  ["lookup_dcookie", 212, 18],
  ["iopl", 172, null],
  ["ioperm", 173, null],
  ["modify_ldt", 154, null],
  ["uselib", 134, null],
  ["ustat", 136, null],
  ["sysfs", 139, null],
  ["_sysctl", 156, null],
  ["create_module", 174, null],
  ["get_kernel_syms", 177, null],
  ["query_module", 178, null],
  ["nfsservctl", 180, 42],
];
