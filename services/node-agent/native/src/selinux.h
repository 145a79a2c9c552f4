#ifndef ATOLL_SELINUX_H
#define ATOLL_SELINUX_H

#include "err.h"

/* SELinux labels (contexts, `user:role:type:level`): of the program a process is about to become, and of mounts. */

/* Whether this kernel has SELinux with a policy loaded, which also can be without enforcing it. */
int selinux_enabled(void);

/* At most 1023 bytes that need no quotes in mount options. What labels there are is the policy's to say. */
int selinux_is_label(const char *text);

/* Descriptor of this process's own attribute, good until its exec; -1 with err. */
int selinux_open(struct err *err);

/* From the next exec on this process has the label. */
int selinux_set(int attribute, const char *label, struct err *err);

#endif
