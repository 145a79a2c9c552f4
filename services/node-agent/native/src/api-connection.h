#ifndef ATOLL_API_CONNECTION_H
#define ATOLL_API_CONNECTION_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

/* Frames to the agent. The other way bytes come as they are. */
enum api_frame { API_HELLO = 1, API_DATA, API_END };
/* How often an agent that is away is tried. */
enum { API_TRY_MS = 100 };

/* Bytes on their way in one direction; more are read only when all of these are written. */
struct api_flow {
	uint8_t *bytes;
	size_t at, end;
};

/* One connection of a container, carried to the agent over one of its own. */
struct api_connection {
	int client; /* -1: this place is free */
	int agent;  /* -1: not reached yet */
	uint64_t try_ms, until_ms; /* not reached: when it is tried next, and given up */
	struct api_flow up, down;
	int client_ended, agent_ended; /* sends no more */
	int client_gone, agent_gone;   /* takes no more */
	int end_told, answer_ended;    /* the other side knows */
};

/* A free place. */
void api_connection_init(struct api_connection *connection);
static inline int api_connection_is_open(const struct api_connection *connection)
{
	return connection->client >= 0;
}
/* Takes over the client's descriptor, which does not block. `id` is the container's. */
void api_connection_begin(struct api_connection *connection, int client, const char *id, const struct sockaddr_un *agent);
void api_connection_end(struct api_connection *connection);

/* What to wait for, of the client and of the agent. True: also for time to pass, as the agent is yet to be reached. */
int api_connection_poll(const struct api_connection *connection, struct pollfd polls[2]);
/* What to do then. */
void api_connection_serve(struct api_connection *connection, const struct pollfd polls[2], const struct sockaddr_un *agent);

#endif
