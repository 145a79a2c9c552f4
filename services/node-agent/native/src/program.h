#ifndef ATOLL_PROGRAM_H
#define ATOLL_PROGRAM_H

#include "err.h"
#include "plan.h"
#include "user.h"

/* Goes to the plan's working directory below `root` and verifies that it is inside. */
int program_enter_cwd(int root, const char *cwd, int make_missing, struct err *err);

/* Where the program is, or why it cannot be run: with the same errors as program_exec. */
int program_find(const struct process_plan *process, char *found, size_t size, struct err *err);

/*
 * Replaces the process: PATH of the plan's environment, HOME added when missing. Returns only on
 * failure, with step "exec" and Docker's wording; ENOENT stands for exit code 127, all others for 126.
 */
int program_exec(const struct process_plan *process, const struct user *user, struct err *err);

#endif
