#ifndef ATOLL_LAUNCH_H
#define ATOLL_LAUNCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shim.h"

/*
 * What a forked shim does with the connection of who wants a process: both tell a failure as the reply to PLAN and return when
 * everything is over.
 */

/* Reads the files and the plan of the bundle's container, prepares it and stays as its parent. */
void launch_container(int connection, const char *bundle);
/*
 * Prepares a container for a caller who is no shim and ends. `stdio` has what the process gets as its streams. `created` is called when
 * there is a process with its namespaces, before it enters its root. NULL with err: no process is left, its cgroups are.
 */
struct shim *launch_unsupervised(const struct plan *plan, const struct stdio *stdio, int (*created)(pid_t pid, struct err *err), struct warnings *warnings,
				 struct err *err);
/* The same for an exec, whose program runs then. */
struct shim *launch_exec_unsupervised(const struct plan *plan, const struct stdio *stdio, struct err *err);
/* Joins a process to a running container. `plan` must outlive the call. */
void launch_exec(int connection, const uint8_t *plan, size_t length);

#endif
