#ifndef ATOLL_SELF_H
#define ATOLL_SELF_H

#include "err.h"

/*
 * Makes sure that this program runs from a read-only mount, by executing itself once more through a
 * detached read-only clone: what a container reaches as /proc/<pid>/exe can then not be written.
 */
int self_seal(char **argv, struct err *err);

/* Own session, no inherited descriptors above 2, signals that would end a shim ignored, not dumpable. */
int self_detach(struct err *err);

#endif
