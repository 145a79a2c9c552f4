#ifndef ATOLL_CGROUP_H
#define ATOLL_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "plan.h"

enum { CGROUP_HIERARCHIES = 20 };

/* One mounted hierarchy: of v1 with its controllers, or the v2 tree. */
struct hierarchy {
	int is_v2;
	char controllers[96];  /* ",cpu,cpuacct," or ",name=systemd,"; for v2 what cgroup.controllers says */
	char mount_point[128];
	int mount;             /* directory descriptors; group is -1 until opened or created */
	int group;
};

struct cgroup {
	struct hierarchy hierarchies[CGROUP_HIERARCHIES];
	int count;
	const char *path;
};

/* What could not be applied, as text for a person; never an error by itself. */
struct warnings {
	char text[1024];
};

/* Finds the hierarchies and opens the groups that exist. `path` must outlive the cgroup. */
int cgroup_open(struct cgroup *cgroup, const char *path, struct err *err);
/* Makes the groups and their parents in every hierarchy. */
int cgroup_create(struct cgroup *cgroup, struct err *err);
int cgroup_limits(struct cgroup *cgroup, const struct limits_plan *limits, struct warnings *warnings, struct err *err);
/* Deny all, then the rules: v1 devices controller, or a BPF program on the v2 group. */
int cgroup_devices(struct cgroup *cgroup, const struct device_rule *rules, size_t count, struct err *err);
/*
 * Moves the calling process, which must have one thread, into the v1 groups. A process that moves itself by "tasks" spares the
 * kernel's wait for all processors that moving another one costs (7 ms; cgroup_procs_write_start in kernel/cgroup/cgroup.c).
 */
int cgroup_join(struct cgroup *cgroup, struct err *err);
/* The v2 group, for a process to be cloned into; -1 without a v2 tree. */
int cgroup_v2_group(const struct cgroup *cgroup);
int cgroup_freeze(struct cgroup *cgroup, int frozen, struct err *err);
/* Sends `sig` to every process of the group and the groups below it. */
void cgroup_signal(struct cgroup *cgroup, int sig);
/* Thaws, kills and waits until the group is empty or `milliseconds` have passed. */
void cgroup_kill(struct cgroup *cgroup, unsigned milliseconds);
uint64_t cgroup_oom_kills(struct cgroup *cgroup);
/* Removes the groups and those below them; a group that is gone already is fine. */
int cgroup_remove(struct cgroup *cgroup, struct err *err);
void cgroup_close(struct cgroup *cgroup);

/* The hierarchy that has the controller, or NULL. The v2 tree counts when it lists it. */
struct hierarchy *cgroup_controller(struct cgroup *cgroup, const char *controller);
/* "v1", "v2" or "hybrid". */
const char *cgroup_mode(const struct cgroup *cgroup);
/* Attaches the device program to a v2 group. */
int cgroup_bpf_devices(int group, const struct device_rule *rules, size_t count, struct err *err);

#endif
