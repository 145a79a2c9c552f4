import type { CapabilityName } from '../capabilities.ts';
import type { Decision, SeccompPolicy } from './bpf-compiler.ts';

/**
 * Docker's default policy, written down as what it refuses: calls that need a capability the
 * container lacks, and calls no container gets. All others of the table are allowed; numbers beyond
 * it answer ENOSYS, so that a newer libc falls back. Source: moby's default profile as of 29.x,
 * with x32 refused and i386 `socketcall(SYS_SOCKET)` refused, as its family cannot be seen.
 */
const WITH_CAPABILITY: readonly (readonly [readonly CapabilityName[], string])[] = [
  [['DAC_READ_SEARCH'], 'open_by_handle_at'],
  [
    ['SYS_ADMIN'],
    `fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr
     mount mount_setattr move_mount open_tree quotactl quotactl_fd setdomainname sethostname setns umount umount2
     unshare`,
  ],
  [['SYS_ADMIN', 'BPF'], 'bpf'],
  [['SYS_ADMIN', 'PERFMON'], 'perf_event_open'],
  [['SYS_ADMIN', 'SYSLOG'], 'syslog'],
  [['SYS_BOOT'], 'reboot'],
  [['SYS_CHROOT'], 'chroot'],
  [['SYS_MODULE'], 'delete_module init_module finit_module'],
  [['SYS_PACCT'], 'acct'],
  [['SYS_PTRACE'], 'kcmp pidfd_getfd process_madvise'],
  [['SYS_RAWIO'], 'iopl ioperm'],
  [['SYS_TIME'], 'settimeofday stime clock_settime clock_settime64'],
  [['SYS_TTY_CONFIG'], 'vhangup'],
  [['SYS_NICE'], 'get_mempolicy mbind set_mempolicy set_mempolicy_home_node'],
];

/** Not even with SYS_ADMIN: obsolete, unsafe to share a kernel over, or not yet judged. */
const NEVER = new Set(
  `_sysctl add_key afs_syscall bdflush break create_module file_getattr file_setattr ftime get_kernel_syms getpmsg gtty
   idle io_uring_enter io_uring_register io_uring_setup kexec_file_load kexec_load keyctl lock migrate_pages mpx
   move_pages nfsservctl nice oldfstat oldlstat oldolduname oldstat olduname open_tree_attr pivot_root prof profil
   putpmsg query_module readdir request_key security sgetmask sigaction signal sigpending sigsuspend ssetmask stty
   swapoff swapon sysfs tuxcall ulimit uselib userfaultfd ustat vm86 vm86old vserver`.split(/\s+/),
);

/** Namespaces in clone's flags: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const CLONE_NAMESPACES = 0x7e020000;
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];
/** All families below 46 but 12 (old X.25 sibling), 19, 20, 23, 25, 34, 37, 38 (AF_ALG) and 40 (AF_VSOCK). */
const SOCKET_FAMILIES = Array.from({ length: 46 }, (_, family) => family).filter(
  (family) => ![12, 19, 20, 23, 25, 34, 37, 38, 40].includes(family),
);
const SYS_SOCKET = 1;

const EPERM = 1;
const ENOSYS = 38;

export function dockerPolicy(capabilities: ReadonlySet<CapabilityName>): SeccompPolicy {
  const refused = new Set(NEVER);
  for (const [holders, names] of WITH_CAPABILITY) {
    if (!holders.some((name) => capabilities.has(name))) for (const name of names.split(/\s+/)) refused.add(name);
  }
  const isAdmin = capabilities.has('SYS_ADMIN');
  return {
    unknown: { kind: 'errno', errno: ENOSYS },
    x32: { kind: 'errno', errno: EPERM },
    decide: (name): Decision => {
      if (refused.has(name)) return { kind: 'errno', errno: EPERM };
      if (name === 'clone3') return isAdmin ? { kind: 'allow' } : { kind: 'errno', errno: ENOSYS };
      if (name === 'clone' && !isAdmin) return { kind: 'no-bits', argument: 0, mask: CLONE_NAMESPACES, errno: EPERM };
      if (name === 'personality') return { kind: 'one-of', argument: 0, values: PERSONALITIES, errno: EPERM };
      if (name === 'socket') return { kind: 'one-of', argument: 0, values: SOCKET_FAMILIES, errno: EPERM };
      if (name === 'socketcall') return { kind: 'not', argument: 0, value: SYS_SOCKET, errno: EPERM };
      return { kind: 'allow' };
    },
  };
}
