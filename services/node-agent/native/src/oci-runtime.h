#ifndef ATOLL_OCI_RUNTIME_H
#define ATOLL_OCI_RUNTIME_H

#include <sys/types.h>

#include "err.h"
#include "plan.h"

/*
 * The command line of another OCI runtime (runc, crun, runsc …), which carries out a container in place of this program. Its state
 * and log are in the bundle, so that nothing of it is elsewhere. Every call ends: with the command, or killed at its deadline.
 */
enum { OCI_CREATE_MILLISECONDS = 60000, OCI_CALL_MILLISECONDS = 20000 };

/* Names inside the bundle. */
#define OCI_STATE "runtime"
#define OCI_ROOTFS "rootfs"
#define OCI_MOUNTS "mounts"
#define OCI_NAMESPACES "ns"

/* What a process of it has: descriptors 0, 1 and 2 (-1 is the null device), and the seccomp program of a plan, which it hands on (NULL: none). */
struct oci_child {
	int in, out, error;
	const struct process_plan *seccomp;
};

/*
 * Runs `<runtime> --root <bundle>/runtime --log … <arguments>`, NULL terminated, in the bundle. A failure has the runtime's own
 * message; step "exec" with ENOENT or EACCES says that the container's program cannot be run.
 */
int oci_run(const char *runtime, const char *bundle, const char *const *arguments, struct oci_child child, unsigned milliseconds,
	    struct err *err);

/* The pid the runtime has written to a file of the current folder; removes it. -1 with err. */
pid_t oci_read_pid(const char *name, struct err *err);

/* Makes orphans of the runtime's commands our children: it forks the container's process and ends. */
int oci_adopt(struct err *err);
/* Reaps children that nobody waits for, all but `own`. */
void oci_reap(pid_t own);

/* A terminal: `console_listen` before the call, `console_receive` after it gives the master, non-blocking, with the size set. */
int console_listen(const char *name, struct err *err);
int console_receive(int listener, const char *name, unsigned short rows, unsigned short cols, struct err *err);

#endif
