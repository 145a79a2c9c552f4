#ifndef ATOLL_CREDS_H
#define ATOLL_CREDS_H

#include "err.h"
#include "plan.h"
#include "user.h"

/* Of a process, 0 for this one. To raise a limit is for who has CAP_SYS_RESOURCE on the host: not for a process in a user namespace. */
int creds_rlimits(pid_t pid, const struct process_plan *process, struct err *err);

/* Files are made as this user from now on, with all that this process may; 0 and 0 undo it. */
int creds_make_files_as(uid_t uid, gid_t gid, struct err *err);

/* Without no_new_privs it needs SYS_ADMIN. Nothing when the plan has none. */
int creds_install_seccomp(const struct process_plan *process, struct err *err);

/*
 * Becomes the user with the plan's capabilities, no_new_privs and seccomp program. The program
 * goes in last: with no_new_privs as the very last step, without it (which needs SYS_ADMIN) just
 * before the capabilities are cut down.
 */
int creds_become(const struct process_plan *process, const struct user *user, struct err *err);

#endif
