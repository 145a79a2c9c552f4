#ifndef ATOLL_USER_H
#define ATOLL_USER_H

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "plan.h"

enum { USER_MAX_GROUPS = 1024 };

struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_MAX_GROUPS]; /* the primary group comes first */
	size_t group_count;
	char home[PATH_MAX]; /* "/" when the passwd file has none */
};

/*
 * Resolves the plan's user in /etc/passwd and /etc/group below `root`, by Docker's rules: a number is
 * never looked up as a name; "" is uid 0; groups that list the user are added when no group is given.
 * Numbers are plain decimal in 0..2147483647. Files are read in bounded memory, 16 MiB at most.
 */
int user_resolve(int root, const struct process_plan *process, struct user *user, struct err *err);

#endif
