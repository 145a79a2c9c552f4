#ifndef ATOLL_CLIENT_H
#define ATOLL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "frame.h"

enum { ATTACH_STDIN = 1, ATTACH_STDOUT = 2, ATTACH_STDERR = 4 };
/* Output waiting for a client beyond this makes the process wait (see README.md, "Slow readers"). */
enum { CLIENT_OUT_LIMIT = 256 * 1024 };

struct client {
	int fd;               /* -1: this place is free */
	int subscribed;
	int attached;         /* ATTACH_* */
	uint32_t stall_ms;    /* 0: dropped as soon as the limit is passed */
	uint64_t progress_ms; /* monotonic time of the last byte taken */
	int hung_up;          /* its side has ended; not read any more, told until the end */
	int leaving;          /* everything was queued: flush, then wait for the other side's end */
	uint64_t leaving_until_ms;
	uint8_t header[FRAME_HEADER];
	size_t header_used;
	uint8_t *payload;     /* of the frame being read */
	size_t payload_used;
	uint8_t *pending;     /* bytes not yet taken by the client */
	size_t pending_at, pending_end, pending_room;
};

void client_open(struct client *client, int fd);
void client_close(struct client *client);
static inline int client_is_open(const struct client *client)
{
	return client->fd >= 0;
}
static inline size_t client_pending(const struct client *client)
{
	return client->pending_end - client->pending_at;
}

/*
 * Reads what is there, at most one frame: 1 with a whole frame (type in header[0], payload until the
 * next call), 0 when more bytes are needed, -1 when the client is gone or broke the protocol.
 */
int client_read(struct client *client, size_t *length);
void client_forget_payload(struct client *client);

/* Queues a frame and writes what can be written; -1 when the client is gone (close it then). */
int client_send(struct client *client, uint8_t type, const void *payload, size_t length);
int client_flush(struct client *client);
int client_reply(struct client *client, uint8_t request, const struct err *failure);

#endif
