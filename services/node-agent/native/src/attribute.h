#ifndef ATOLL_ATTRIBUTE_H
#define ATOLL_ATTRIBUTE_H

#include "err.h"

/*
 * The files of a process in /proc through which the kernel's security modules are told what its next program is to be under. They are opened
 * while /proc is still the host's and written right before the exec, so that a container's root has no part in it; the kernel lets nobody but
 * the process itself write to them, and its exec is their end.
 */

/* Descriptor of this process's own attribute that takes text for its next exec; `module`: the folder of its own it may have. -1 with err. */
int attribute_open(const char *module, const char *step, struct err *err);

#endif
