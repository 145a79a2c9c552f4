#ifndef ATOLL_MOUNTS_H
#define ATOLL_MOUNTS_H

#include "cgroup.h"
#include "err.h"
#include "plan.h"

/* User namespaces whose ids files are shown with; -1: as they are. */
struct ids_shown {
	int own;  /* what is Atoll's own: layers, volumes */
	int host; /* binds of the host */
};

/*
 * Detached clones of all bind sources, in the plan's order (-1 for other kinds); malloc'ed. To be
 * called before the host's mounts are made slaves, so that "shared" binds keep their peers. `ipc` is the process whose ipc
 * namespace is joined, and whose shared memory is taken; with -1 that stays unopened. What is to get another SELinux label gets it.
 */
int *mounts_open_sources(const struct plan *plan, int ipc, const struct ids_shown *shown, struct err *err);
/*
 * The same for a container in a user namespace, with what its processes cannot mount themselves: file systems of namespaces of the
 * host. Its binds get nothing of theirs out to the host: "shared" is shared inside.
 */
int *mounts_open_for(const struct plan *plan, int ipc, int userns, struct err *err);

/*
 * Carries out the plan's mounts below `root`. Gives the descriptors of the fresh /dev and devpts
 * mounts (or -1) for device nodes and terminals, so that neither is found again by name.
 */
int mounts_apply(const struct plan *plan, int root, const int *sources, struct cgroup *cgroup, int *dev, int *devpts,
		 struct err *err);

/* The failure of a system call on behalf of a mount. */
int mount_fail(struct err *err, const struct mount_plan *mount, const char *what);

/* A bind or an image: something that is there already and is cloned. */
int mount_has_source(const struct mount_plan *mount);

/* One bind of the plan, its source cloned already. */
int mount_bind(const struct mount_plan *mount, int root, int source, struct err *err);

int devices_create(const struct plan *plan, int root, int dev, struct err *err);
/*
 * For a container in a user namespace, where no nodes can be made and those of file systems made there do not work: a detached tmpfs
 * with the plan's nodes, owned as there, and what masks are made of.
 */
int nodes_make(const struct plan *plan, struct err *err);
/* Binds those in the place of `devices_create`. `nodes` is attached. */
int devices_bind(const struct plan *plan, int root, int dev, int nodes, struct err *err);
/* A detached tmpfs with what masks are made of; `label` as for fs_mount. */
int masks_make(const char *label, struct err *err);
int paths_make_readonly(const struct plan *plan, int root, struct err *err);
/*
 * Hides paths by a null device or an empty read-only folder that are our own. Missing paths are fine.
 * `scratch` is a folder of the old root that the mask's own mount may cover; `nodes` comes from `nodes_make`, or is -1.
 */
int paths_mask(const struct plan *plan, int root, int scratch, int nodes, struct err *err);
/* Writes the sysctls through `proc`, a private procfs mount. */
int sysctls_write(const struct plan *plan, int proc, struct err *err);

#endif
