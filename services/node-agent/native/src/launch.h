#ifndef ATOLL_LAUNCH_H
#define ATOLL_LAUNCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * What a forked shim does with the connection of who wants a process: both tell a failure as the reply to PLAN and return when
 * everything is over.
 */

/* Reads the files and the plan of the bundle's container, prepares it and stays as its parent. */
void launch_container(int connection, const char *bundle);
/* Joins a process to a running container. `plan` must outlive the call. */
void launch_exec(int connection, const uint8_t *plan, size_t length);

#endif
