#ifndef ATOLL_CHILD_H
#define ATOLL_CHILD_H

#include <sys/types.h>

#include "shim.h"

/* clone3 with a pidfd, into the v2 group unless it is -1; gives the child's pid in the parent, 0 in the child. */
pid_t child_clone(uint64_t flags, int group, int *pidfd, struct err *err);

/* First things in a child: default signals, death with the shim, not dumpable. */
int child_begin(struct err *err);

/* While /proc is the host's: what child_finish needs to set the plan's AppArmor profile or SELinux label, if there is one. */
int child_open_attributes(struct shim *shim, struct err *err);

/*
 * The last stretch, the same for a container and an exec, inside the container's root: streams, user,
 * limits, working directory, credentials; tells READY (with the terminal's master), waits for START,
 * execs. Returns only on failure.
 */
void child_finish(struct shim *shim, int master, int sync, struct err *err);

/* Reports the error to the shim and ends the process. */
_Noreturn void child_fail(int sync, const struct err *err);

/* Descriptor of a verified process; -1 with err. */
int process_open(const struct identity *process, struct err *err);

/*
 * What setns takes for a namespace that is to be joined: a process or a namespace file. To be opened
 * on the host, as inside a new pid namespace the plan's pids mean nothing.
 */
int namespace_open(const struct ns_plan *namespace, struct err *err);

#endif
