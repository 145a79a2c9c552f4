#ifndef ATOLL_CREDS_H
#define ATOLL_CREDS_H

#include "err.h"
#include "plan.h"
#include "user.h"

int creds_rlimits(const struct process_plan *process, struct err *err);

/*
 * Becomes the user with the plan's capabilities, no_new_privs and seccomp program. The program
 * goes in last: with no_new_privs as the very last step, without it (which needs SYS_ADMIN) just
 * before the capabilities are cut down.
 */
int creds_become(const struct process_plan *process, const struct user *user, struct err *err);

#endif
