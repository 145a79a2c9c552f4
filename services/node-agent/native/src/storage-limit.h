#ifndef ATOLL_STORAGE_LIMIT_H
#define ATOLL_STORAGE_LIMIT_H

#include <stddef.h>

#include "err.h"
#include "plan.h"

/*
 * The limit of a container's own files: a project quota of the file system (xfs, ext4) on the upper and the work folder of its
 * overlay. The project is the container's alone as long as its work folder lives; which one it is stands on that folder, where no
 * program in the container reaches it.
 */

/* Name of the file system that a folder is on; `why` is empty when it holds such limits, else what is missing. */
const char *storage_limit_support(int folder, char *why, size_t size);

/*
 * Both do nothing without a limit, and can be repeated. The first one gives the plan's folders, which have to be empty when they are new,
 * their project and the limit with some slack, so that the overlay of a full container can be mounted. The second one has the limit hold
 * exactly, before anything is run or written.
 */
int storage_limit_prepare(const struct plan *plan, struct err *err);
int storage_limit_hold(const struct plan *plan, struct err *err);

/* Takes the limit away that stands on the project of `folder` of `tree`; nothing when there is none. Repeatable. */
int storage_limit_lift(int tree, const char *folder, struct err *err);

#endif
