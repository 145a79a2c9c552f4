#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "shim.h"

/* A stream that was free for so long has not been held up; who took nothing for so long is stuck. */
enum { HELD_PAUSE_MILLISECONDS = 1000 };

static uint8_t buffer[READ_BYTES];

static int wants(const struct client *client, uint8_t stream)
{
	return client_is_open(client) && (client->attached & (stream == 1 ? ATTACH_STDOUT : ATTACH_STDERR));
}

int shim_output_blocked(struct shim *shim, uint8_t stream)
{
	uint64_t now = now_monotonic_ms();
	uint64_t *since = &shim->held_since_ms[stream - 1], *last = &shim->held_last_ms[stream - 1];
	int blocked = 0;

	/* One after the other, many stuck readers would hold the container up for many times the limit: they share it. */
	if (now - *last > HELD_PAUSE_MILLISECONDS)
		*since = now;

	for (int index = 0; index < SHIM_CLIENTS; index++) {
		struct client *client = &shim->clients[index];

		if (!wants(client, stream) || client_pending(client) <= CLIENT_OUT_LIMIT)
			continue;
		uint64_t idle = now - client->progress_ms;
		if (idle >= client->stall_ms || (idle >= HELD_PAUSE_MILLISECONDS && now - *since >= client->stall_ms))
			shim_drop(shim, client);
		else
			blocked = 1;
	}
	if (blocked)
		*last = now;
	return blocked;
}

void shim_copy_output(struct shim *shim, int *fd, uint8_t stream, int last)
{
	do {
		ssize_t count = read(*fd, buffer, sizeof(buffer));

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return;
		if (count <= 0) {
			/* EIO is a terminal's end: nobody holds its other side. */
			if (shim->stdio.tty && shim->stdio.in == *fd)
				shim->stdio.in = -1;
			close(*fd);
			*fd = -1;
			return;
		}
		if (!shim->is_exec)
			log_write(&shim->log, stream, buffer, (size_t)count);
		for (int index = 0; index < SHIM_CLIENTS; index++)
			if (wants(&shim->clients[index], stream))
				shim_send(shim, &shim->clients[index], stream == 1 ? FRAME_STDOUT : FRAME_STDERR, buffer, (size_t)count);
	} while (last);
}

void shim_close_stdin(struct shim *shim)
{
	if (shim->stdio.in < 0)
		return;
	/* The terminal's master is also its output: it stays. */
	if (!shim->stdio.tty)
		close(shim->stdio.in);
	shim->stdio.in = -1;
	free(shim->stdin_bytes);
	shim->stdin_bytes = NULL;
	shim->stdin_at = shim->stdin_end = 0;
}

int shim_awaits_terminal(const struct shim *shim)
{
	return shim->plan.runtime && shim->stdio.tty && shim->pid == 0 && !shim->finished;
}

void shim_feed_stdin(struct shim *shim)
{
	if (shim_awaits_terminal(shim))
		return;
	while (shim->stdin_at < shim->stdin_end && shim->stdio.in >= 0) {
		ssize_t count = write(shim->stdio.in, shim->stdin_bytes + shim->stdin_at, shim->stdin_end - shim->stdin_at);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN)
			return;
		if (count < 0) {
			shim_close_stdin(shim);
			return;
		}
		shim->stdin_at += (size_t)count;
	}
	free(shim->stdin_bytes);
	shim->stdin_bytes = NULL;
	shim->stdin_at = shim->stdin_end = 0;
	if (shim->stdin_ending)
		shim_close_stdin(shim);
}
