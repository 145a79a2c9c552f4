#ifndef ATOLL_LAUNCH_USERNS_H
#define ATOLL_LAUNCH_USERNS_H

#include "shim.h"

/* The parts of a container's launch that only a user namespace needs; without one they do nothing. */

/* Makes or joins the namespace and does what only the host's root can mount and give, before a process goes where it cannot. */
int userns_prepare(struct shim *shim, struct err *err);

/* The mounts are the process's own now. */
void userns_close_premounts(const struct shim *shim);

/* Below the score it was born with a process of a user namespace cannot set its own. */
int userns_set_oom_score(const struct shim *shim, struct err *err);

#endif
