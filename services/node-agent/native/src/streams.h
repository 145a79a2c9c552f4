#ifndef ATOLL_STREAMS_H
#define ATOLL_STREAMS_H

#include <sys/types.h>

#include "err.h"
#include "plan.h"

/*
 * The streams between shim and process. With pipes both sides are made before the clone; a terminal
 * is made by the child (its devpts may be the container's) and its master sent to the shim.
 * A descriptor that is not there is -1.
 */
struct stdio {
	int tty;
	int in, out, error;                   /* shim's side; with a terminal `in` and `out` are the master */
	int child_in, child_out, child_error; /* process's side; with a terminal all are the slave */
};

int stdio_make(const struct process_plan *process, struct stdio *streams, struct err *err);
/* Gives the pipes to the root of a user namespace, so that its processes can open them anew and hand them on to their users. */
int stdio_give(const struct stdio *streams, const struct id_map *ids, struct err *err);
void stdio_close_child(struct stdio *streams);
void stdio_close_shim(struct stdio *streams);

/* From an open multiplexer device: unlocks it, sets its size, opens its peer. Gives the slave. */
int stdio_open_peer(int master, const struct process_plan *process, struct err *err);

/* In the child: new session, terminal as controlling terminal, descriptors 0 to 2, owner for the user. */
int stdio_install(const struct stdio *streams, uid_t uid, struct err *err);

#endif
