#ifndef ATOLL_ROOT_SPEC_H
#define ATOLL_ROOT_SPEC_H

#include <limits.h>

#include "err.h"
#include "plan.h"

/*
 * The root a command works in, named by one of
 *   --root <folder>                                 a folder
 *   --pid <pid>:<start ticks>                       what that process sees (a running container)
 *   --bundle <folder>                               a container that does not run: its overlay and its binds
 *   --prepared <folder>                             a container another runtime will start: what its shim has mounted for it
 *   --lower <folder>… [--upper <folder> --work <folder>]  an overlay; read-only without upper
 * The last three are mounted in a mount namespace of this command's own: no host sees them.
 */
struct root_spec {
	const char *folder, *pid, *bundle, *prepared, *upper, *work;
	struct text_list lowers;
	int root;     /* O_PATH, after root_spec_open */
	int self_fds; /* the host's /proc/self/fd */
	int lock;
};

/* 1 when argv[*index] is one of the options; then *index stands on its value. */
int root_spec_option(struct root_spec *spec, int argc, char **argv, int *index, struct err *err);
int root_spec_open(struct root_spec *spec, struct err *err);
/* Gives back a bundle. */
void root_spec_close(struct root_spec *spec);
/* Where a descriptor lies as seen from the root, "/" first. */
int root_spec_path(const struct root_spec *spec, int fd, char *out, struct err *err);

#endif
