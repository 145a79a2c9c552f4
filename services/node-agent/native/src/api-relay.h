#ifndef ATOLL_API_RELAY_H
#define ATOLL_API_RELAY_H

#include <poll.h>
#include <stdint.h>
#include <sys/un.h>

#include "api-connection.h"
#include "err.h"

/* Connections at the same time; further ones wait in the listener's queue. */
enum { API_CONNECTIONS = 128, API_POLLS = 1 + 2 * API_CONNECTIONS };
/* The socket's name in the bundle: the plan binds it to where the container wants it. */
#define API_SOCKET "docker.sock"

/*
 * A unix socket in the bundle that speaks the cluster's Docker API: each connection of the container is carried to the agent over one
 * of its own, with half-closes and backpressure. The socket is the shim's, so it stays when the agent restarts: what is connected then
 * breaks, what connects meanwhile waits.
 */
struct api_relay {
	int listener; /* -1: the container has none */
	struct sockaddr_un agent;
	const char *id;
	uint64_t full_until_ms; /* no descriptors: not accepted before */
	struct api_connection *connections;
};

void api_init(struct api_relay *relay);
/* Makes the socket, mode 0660, in the current folder. `agent` is copied, `id` is not. */
int api_open(struct api_relay *relay, const char *agent, const char *id, struct err *err);
/* Ends all connections. The socket's file stays, so that the mount of it can be made for copies from a container that has ended. */
void api_close(struct api_relay *relay);

/* What to wait for (`polls` has API_POLLS places): how many of them, none for a container without; for how long, -1 without bound. */
nfds_t api_poll(const struct api_relay *relay, struct pollfd *polls, int *timeout_ms);
/* What to do when it has come or the time is up. `polls` are those of the last `api_poll`. */
void api_serve(struct api_relay *relay, const struct pollfd *polls);

#endif
