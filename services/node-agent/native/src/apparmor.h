#ifndef ATOLL_APPARMOR_H
#define ATOLL_APPARMOR_H

#include "err.h"

/*
 * The AppArmor profile of the program a process is about to become. See attribute.h for how it is set.
 */

/* Whether this kernel has AppArmor and it is on. */
int apparmor_enabled(void);

/* Of one profile: nothing the kernel takes for a policy namespace or for "on top of the present one". At most 255 bytes without spaces. */
int apparmor_is_name(const char *text);

/* Descriptor of this process's own attribute, good until its exec; -1 with err. */
int apparmor_open(struct err *err);

/* From the next exec on this process is confined by the profile, or by none with "unconfined". */
int apparmor_set(int attribute, const char *profile, struct err *err);

#endif
