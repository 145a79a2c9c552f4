#ifndef ATOLL_SYNC_H
#define ATOLL_SYNC_H

#include "err.h"

/*
 * Messages between shim and child over a SOCK_SEQPACKET pair.
 * Shim: JOINED (the network is there), START. Child: READY (with the terminal's master),
 * FAILED (with an err). The pair's close by exec is the sign that exec worked.
 */
enum sync_kind { SYNC_JOINED = 1, SYNC_START, SYNC_READY, SYNC_FAILED };

struct sync_message {
	int kind;
	struct err err;
};

int sync_pair(int *shim, int *child, struct err *err);
/* `fd` is passed along unless it is -1. */
int sync_send(int socket, enum sync_kind kind, const struct err *failure, int fd);
/* 1 for a message, 0 when the other side is gone, -1 on error. `fd` gets a passed descriptor or -1. */
int sync_receive(int socket, struct sync_message *message, int *fd);

#endif
