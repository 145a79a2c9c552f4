#ifndef ATOLL_SHIM_H
#define ATOLL_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api-relay.h"
#include "cgroup.h"
#include "client.h"
#include "dns-relay.h"
#include "endpoints.h"
#include "err.h"
#include "log.h"
#include "plan.h"
#include "streams.h"
#include "sync.h"

enum { SHIM_CLIENTS = 64, STDIN_LIMIT = 64 * 1024, READ_BYTES = 32 * 1024, STATE_BYTES = 30 };
enum status { STATUS_CREATED, STATUS_RUNNING, STATUS_PAUSED, STATUS_EXITED };

/* What the shim mounts for a container in a user namespace, whose own processes could not. Detached; -1 or NULL without one. */
struct premounts {
	int root;
	int *sources; /* of the plan's mounts, see mounts_open_sources */
	int nodes;    /* see nodes_make */
};

/* The parent of one process, container or exec. */
struct shim {
	int is_exec;
	struct plan plan;
	int joined[NS_KINDS];     /* descriptors for setns, -1 where nothing is joined */
	int userns;               /* of the process; -1: the host's */
	struct id_map ids;
	struct premounts made;
	int apparmor, selinux;    /* of the child: where its profile and its label are written; -1 without one */
	struct cgroup cgroup;
	unsigned link;            /* outer end of the veth pair; 0 without one */
	struct endpoint_links endpoints;
	struct dns_relay dns;
	struct api_relay api;
	struct stdio stdio;
	struct log log;
	int listener;             /* -1 for an exec */
	int bundle;               /* folder; -1 for an exec */
	int exit_file;            /* not yet on disk; -1 */
	int lock;                 /* shim.pid, locked while the bundle is ours */
	struct client clients[SHIM_CLIENTS];
	uint64_t held_since_ms[2], held_last_ms[2]; /* since when slow readers have held up a stream, and when they last did */
	struct client *launcher;  /* who had it prepared; a container that has not been started ends with its connection */
	pid_t pid;
	int pidfd;
	int sync;                 /* -1 once the process has exec'ed or failed */
	struct client *starter;   /* who waits for the answer to START */
	int starting;
	enum status status;
	int exec_failed;
	int thawed;               /* killed while it was paused: another runtime need not be asked to resume it */
	char *runtime_resources;  /* limits changed before another runtime has made the container */
	struct err failure;
	int32_t code, signal;
	int oom;
	uint64_t started_ns, finished_ns;
	uint8_t *stdin_bytes;     /* not yet taken by the process */
	size_t stdin_at, stdin_end;
	int stdin_ending;         /* close it once all bytes are taken */
	int shutdown;
	struct client *shutdown_asker;
	int finished;
};

/* No descriptor open, no client. */
void shim_init(struct shim *shim);

/* Runs until the process has ended and all clients have what is theirs. */
void shim_loop(struct shim *shim);

/* One frame of a client. -1: close it. */
int shim_request(struct shim *shim, struct client *client, uint8_t type, const uint8_t *payload, size_t length);

/* Takes down what was never started. */
void shim_shut_down(struct shim *shim);

void shim_drop(struct shim *shim, struct client *client);
void shim_send(struct shim *shim, struct client *client, uint8_t type, const void *payload, size_t length);
void shim_announce(struct shim *shim);
void shim_encode_state(const struct shim *shim, uint8_t *out);

/* The container's links and its way to the resolver; later changes of them; and their end, after the container's. */
int shim_make_network(struct shim *shim, struct err *err);
int shim_build_network(struct shim *shim, int netns, struct err *err);
int shim_connect(struct shim *shim, const uint8_t *payload, size_t length, struct err *err);
void shim_leave_network(struct shim *shim);

/* Streams. */
void shim_copy_output(struct shim *shim, int *fd, uint8_t stream, int last);
int shim_output_blocked(struct shim *shim, uint8_t stream);
/* Another runtime makes the terminal, at the start: input is kept until then. */
int shim_awaits_terminal(const struct shim *shim);
void shim_feed_stdin(struct shim *shim);
void shim_close_stdin(struct shim *shim);

/* After the process's end: leftovers killed, output drained, exit file, announcement, clean-up. */
void shim_finish(struct shim *shim);
/*
 * Brings the exit record to disk, a moment after everybody was told: what is removed by then costs no write. A power cut in between
 * loses how the run ended, not that it did.
 */
void shim_sync_exit(struct shim *shim);
void shim_exec_result(struct shim *shim);

#endif
