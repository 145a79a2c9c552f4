#ifndef ATOLL_IDMAPPED_LAYERS_H
#define ATOLL_IDMAPPED_LAYERS_H

#include "err.h"
#include "plan.h"

/* Clones that have to be there until the overlay is made. */
struct clones {
	int mounts[PLAN_MAX_LOWERS + 2];
	size_t count;
};

/*
 * Gives an overlay's context its layers, shown with the ids of a user namespace (Linux 6.13: layers by descriptor, 6.15: of detached
 * mounts). All are absolute paths; upper and work are in one folder, or NULL.
 */
int idmapped_layers(int context, const struct text_list *lowers, const char *upper, const char *work, int userns,
		    struct clones *clones, struct err *err);

/*
 * For kernels before these: covers the folder that all of them are in by a clone with the ids of the namespace, for whoever is in this
 * mount namespace, which has to be the caller's own.
 */
int idmapped_in_place(const struct text_list *lowers, const char *upper, const char *work, int userns, struct err *err);
void clones_close(const struct clones *clones);

#endif
