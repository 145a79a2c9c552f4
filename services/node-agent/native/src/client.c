#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io.h"

void client_open(struct client *client, int fd)
{
	memset(client, 0, sizeof(*client));
	client->fd = fd;
	client->progress_ms = now_monotonic_ms();
	fcntl(fd, F_SETFL, O_NONBLOCK);
}

void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	free(client->payload);
	free(client->pending);
	memset(client, 0, sizeof(*client));
	client->fd = -1;
}

static ssize_t read_some(int fd, void *at, size_t size)
{
	ssize_t count;

	do
		count = read(fd, at, size);
	while (count < 0 && errno == EINTR);
	if (count == 0)
		errno = EPIPE;
	return count;
}

int client_read(struct client *client, size_t *length)
{
	ssize_t count;

	if (client->header_used < FRAME_HEADER) {
		count = read_some(client->fd, client->header + client->header_used, FRAME_HEADER - client->header_used);
		if (count <= 0)
			return count < 0 && errno == EAGAIN ? 0 : -1;
		client->header_used += (size_t)count;
		if (client->header_used < FRAME_HEADER)
			return 0;
		client->payload_used = 0;
	}
	*length = frame_length(client->header);
	if (*length > FRAME_MAX)
		return -1;
	if (!client->payload && *length > 0 && !(client->payload = malloc(*length)))
		return -1;
	if (client->payload_used < *length) {
		count = read_some(client->fd, client->payload + client->payload_used, *length - client->payload_used);
		if (count <= 0)
			return count < 0 && errno == EAGAIN ? 0 : -1;
		client->payload_used += (size_t)count;
		if (client->payload_used < *length)
			return 0;
	}
	client->header_used = 0;
	return 1;
}

void client_forget_payload(struct client *client)
{
	free(client->payload);
	client->payload = NULL;
	client->payload_used = 0;
}

int client_flush(struct client *client)
{
	while (client_pending(client) > 0) {
		ssize_t count = write(client->fd, client->pending + client->pending_at, client_pending(client));

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno == EAGAIN ? 0 : -1;
		client->pending_at += (size_t)count;
		client->progress_ms = now_monotonic_ms();
	}
	free(client->pending);
	client->pending = NULL;
	client->pending_at = client->pending_end = client->pending_room = 0;
	return 0;
}

static int queue(struct client *client, const void *bytes, size_t length)
{
	if (length == 0)
		return 0;
	if (client->pending_end + length > client->pending_room) {
		size_t held = client_pending(client);
		size_t room = held + length < 8192 ? 8192 : (held + length) * 2;
		uint8_t *grown = malloc(room);

		if (!grown)
			return -1;
		if (held > 0)
			memcpy(grown, client->pending + client->pending_at, held);
		free(client->pending);
		client->pending = grown;
		client->pending_at = 0;
		client->pending_end = held;
		client->pending_room = room;
	}
	memcpy(client->pending + client->pending_end, bytes, length);
	client->pending_end += length;
	return 0;
}

int client_send(struct client *client, uint8_t type, const void *payload, size_t length)
{
	uint8_t header[FRAME_HEADER];
	size_t taken = 0;

	frame_header(header, type, (uint32_t)length);
	if (client_pending(client) == 0) {
		struct iovec parts[] = { { header, sizeof(header) }, { (void *)(uintptr_t)payload, length } };
		ssize_t count = writev(client->fd, parts, 2);

		if (count < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		taken = count > 0 ? (size_t)count : 0;
		client->progress_ms = now_monotonic_ms();
	}
	if (taken < sizeof(header) && queue(client, header + taken, sizeof(header) - taken) < 0)
		return -1;
	size_t skip = taken > sizeof(header) ? taken - sizeof(header) : 0;
	return queue(client, (const uint8_t *)payload + skip, length - skip);
}

int client_reply(struct client *client, uint8_t request, const struct err *failure)
{
	uint8_t payload[600];
	const char *parts[3];
	size_t at = 2;

	payload[0] = request;
	payload[1] = failure ? 0 : 1;
	if (failure) {
		parts[0] = failure->step;
		parts[1] = errno_name(failure->code);
		parts[2] = failure->text;
		for (int index = 0; index < 3; index++) {
			size_t length = strlen(parts[index]) + 1;

			memcpy(payload + at, parts[index], length);
			at += length;
		}
	}
	return client_send(client, FRAME_REPLY, payload, at);
}
