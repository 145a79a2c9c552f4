#ifndef ATOLL_OCI_CONTAINER_H
#define ATOLL_OCI_CONTAINER_H

#include "shim.h"

/*
 * A container that another OCI runtime carries out. The shim stays what it is for its own containers: parent of the first process,
 * owner of its streams, log, cgroups and network. The folder is the OCI bundle; its config.json comes with the launch.
 */
static inline int oci_is(const struct shim *shim)
{
	return shim->plan.runtime != NULL;
}

/* Root, bind sources and namespaces, mounted at places of the bundle that only this process and its children see. */
int oci_prepare(struct shim *shim, struct err *err);
/* `create` and `start`; afterwards there is a first process. */
int oci_start(struct shim *shim, struct err *err);
int oci_signal(struct shim *shim, int sig, struct err *err);
int oci_set_paused(struct shim *shim, int paused, struct err *err);
int oci_update(struct shim *shim, const char *resources, struct err *err);
/* `delete --force` and its state removed; there may be nothing to delete. The current folder is the bundle. */
void oci_delete(const struct plan *plan);

#endif
