#ifndef ATOLL_SOCKET_H
#define ATOLL_SOCKET_H

#include "err.h"

/* A listening unix stream socket of mode 0600 in the current folder, so the folder's own path may be of any length. */
int socket_listen(const char *name, struct err *err);
/* The next connection, if it is of this user; else -1. Does not block where the listener does not. */
int socket_accept(int listener);
/* True when the other side has ended within the time; with -1 only waits. */
int socket_wait_hang_up(int connection, int milliseconds);

#endif
