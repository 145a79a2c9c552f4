#ifndef ATOLL_SELF_H
#define ATOLL_SELF_H

#include "err.h"

/*
 * Makes sure that this program runs from a read-only mount, by executing itself once more through a
 * detached read-only clone: what a container reaches as /proc/<pid>/exe can then not be written.
 */
int self_seal(char **argv, struct err *err);

/*
 * Changes what `ps` shows of this process, as far as there is room: a copy made by `self_seal` has some. Goes over the arguments and
 * the environment, so nothing of either may be used afterwards (the kernel's rule for this: get_mm_cmdline in fs/proc/base.c).
 */
void self_title(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Own session, no inherited descriptors above 2, signals that would end a shim ignored, not dumpable. */
int self_detach(struct err *err);

#endif
