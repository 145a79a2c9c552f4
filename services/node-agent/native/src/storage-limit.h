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

/* Puts the plan's limit on its folders; nothing without one. Repeatable. New folders have to be empty. */
int storage_limit_apply(const struct plan *plan, struct err *err);

/* Takes the limit away that stands on the project of `folder` of `tree`; nothing when there is none. Repeatable. */
int storage_limit_lift(int tree, const char *folder, struct err *err);

#endif
