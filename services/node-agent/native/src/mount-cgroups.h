#ifndef ATOLL_MOUNT_CGROUPS_H
#define ATOLL_MOUNT_CGROUPS_H

#include "cgroup.h"
#include "err.h"
#include "plan.h"

/*
 * The container's own groups, laid out as on the host, seen through its cgroup namespace. `bound`: it has none that would hide the
 * others, so these are binds of its groups; of the whole tree where there is only v2, as in Docker.
 */
int mount_cgroups(const struct mount_plan *mount, int target, struct cgroup *cgroup, int bound, const char *label, struct err *err);

#endif
