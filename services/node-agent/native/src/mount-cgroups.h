#ifndef ATOLL_MOUNT_CGROUPS_H
#define ATOLL_MOUNT_CGROUPS_H

#include "cgroup.h"
#include "err.h"
#include "plan.h"

/*
 * The container's own groups, laid out as on the host, seen through its cgroup namespace. `bound`: the host's own mounts, for who
 * cannot mount with the host's cgroup namespace from a user namespace.
 */
int mount_cgroups(const struct mount_plan *mount, int target, struct cgroup *cgroup, int bound, struct err *err);

#endif
