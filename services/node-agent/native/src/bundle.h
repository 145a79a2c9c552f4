#ifndef ATOLL_BUNDLE_H
#define ATOLL_BUNDLE_H

#include <sys/types.h>

#include "err.h"

/* Enters the bundle folder, which must be ours alone (0700), and gives its descriptor. */
int bundle_enter(const char *path, struct err *err);
/* Takes the bundle's lock (shim.pid) and writes this process into it. Waits at most `milliseconds` for another shim. */
int bundle_lock(int bundle, unsigned milliseconds, struct err *err);
/* Writes "<pid> <start ticks>". */
int bundle_write_pid(int bundle, const char *name, pid_t pid, struct err *err);
/* The control socket, listening. The current folder is the bundle. */
int bundle_listen(struct err *err);

#endif
