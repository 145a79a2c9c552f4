/** The profile of containers that name none. */
export const DEFAULT_PROFILE = 'atoll-default';

/**
 * Counts the changes of the text below. The kernel keeps it as the name of an empty profile inside, which nothing can enter: agents of
 * different versions on one machine see by it whether what is loaded is older than theirs.
 */
export const PROFILE_VERSION = 1;

/**
 * Files and networks are a container's own by its namespaces, what it may do with them is said by capabilities, devices and seccomp. Here is
 * what none of these takes back once a container has got more of them than it should: settings of the host's kernel, memory of others and of
 * the kernel, mounts (no rule: refused, as is leaving the root), and the rules themselves. Signals come from the host, and from runtimes
 * that have a profile of their own.
 */
export const PROFILE_TEXT = `profile ${DEFAULT_PROFILE} flags=(attach_disconnected,mediate_deleted) {
  file,
  network,
  capability,
  deny capability mac_admin,
  deny capability mac_override,

  signal (receive) peer=unconfined,
  signal (receive) peer={runc,crun},
  signal peer=${DEFAULT_PROFILE},
  ptrace peer=${DEFAULT_PROFILE},

  # All of /proc but the folders of processes.
  deny /proc/[^0-9]** wl,
  deny /proc/{kcore,kmem,mem,kpage*,vmcore,sysrq-trigger} rwklx,

  # All of /sys but control groups, which are mounted to be written only where that was asked for.
  deny /sys/{[^f],f[^s],fs/[^c],fs/c[^g]}** wl,
  deny /sys/kernel/{security,debug,tracing}/{,**} rwklx,
  deny /sys/firmware/{,**} rwklx,
  deny /sys/devices/virtual/powercap/{,**} rwklx,

  profile version-${PROFILE_VERSION} {
  }
}
`;
