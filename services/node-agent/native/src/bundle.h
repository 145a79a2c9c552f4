#ifndef ATOLL_BUNDLE_H
#define ATOLL_BUNDLE_H

#include <sys/types.h>

#include "err.h"

/* Enters the bundle folder, which must be ours alone (0700), and gives its descriptor. */
int bundle_enter(const char *path, struct err *err);
/*
 * Takes the bundle's lock (shim.pid) and writes this process into it. Waits at most `milliseconds` for another shim, and no longer
 * than `client` is connected (-1: nobody).
 */
int bundle_lock(int bundle, unsigned milliseconds, int client, struct err *err);
/* Writes "<pid> <start ticks>". */
int bundle_write_pid(int bundle, const char *name, pid_t pid, struct err *err);
/* Adds the time to "init.pid", before the first process is let go: what may have run is not taken for what was only prepared. */
int bundle_note_start(int bundle, struct err *err);

#endif
