#include "api-relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

/* A full queue refuses clients that do not block, so it is as long as the system allows. */
enum { BACKLOG = 4096, ROUND = 16 };

void api_init(struct api_relay *relay)
{
	memset(relay, 0, sizeof(*relay));
	relay->listener = -1;
}

int api_open(struct api_relay *relay, const char *agent, const char *id, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = API_SOCKET };

	relay->connections = calloc(API_CONNECTIONS, sizeof(*relay->connections));
	if (!relay->connections)
		return err_set(err, ENOMEM, "api socket", "out of memory");
	for (int index = 0; index < API_CONNECTIONS; index++)
		api_connection_init(&relay->connections[index]);
	relay->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(API_SOCKET);
	mode_t before = umask(0117);
	int failed = relay->listener < 0 || bind(relay->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		     listen(relay->listener, BACKLOG) < 0;
	umask(before);
	if (failed) {
		err_sys(err, "api socket", "%s", API_SOCKET);
		api_close(relay);
		return -1;
	}
	relay->agent.sun_family = AF_UNIX;
	snprintf(relay->agent.sun_path, sizeof(relay->agent.sun_path), "%s", agent);
	relay->id = id;
	return 0;
}

void api_close(struct api_relay *relay)
{
	for (int index = 0; relay->connections && index < API_CONNECTIONS; index++)
		api_connection_end(&relay->connections[index]);
	free(relay->connections);
	relay->connections = NULL;
	if (relay->listener >= 0)
		close(relay->listener);
	relay->listener = -1;
}

static int free_place(const struct api_relay *relay)
{
	for (int index = 0; index < API_CONNECTIONS; index++)
		if (!api_connection_is_open(&relay->connections[index]))
			return index;
	return -1;
}

static void take_clients(struct api_relay *relay)
{
	int place;

	for (int round = 0; round < ROUND && (place = free_place(relay)) >= 0; round++) {
		int fd = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
			relay->full_until_ms = now_monotonic_ms() + API_TRY_MS;
		if (fd < 0)
			return;
		api_connection_begin(&relay->connections[place], fd, relay->id, &relay->agent);
	}
}

nfds_t api_poll(const struct api_relay *relay, struct pollfd *polls, int *timeout_ms)
{
	int has_place = 0;

	*timeout_ms = -1;
	if (relay->listener < 0)
		return 0;
	for (int index = 0; index < API_CONNECTIONS; index++) {
		struct pollfd *at = polls + 1 + 2 * index;

		at[0] = at[1] = (struct pollfd){ .fd = -1 };
		if (!api_connection_is_open(&relay->connections[index]))
			has_place = 1;
		else if (api_connection_poll(&relay->connections[index], at))
			*timeout_ms = API_TRY_MS;
	}
	int full = relay->full_until_ms > now_monotonic_ms();
	if (full)
		*timeout_ms = API_TRY_MS;
	polls[0] = (struct pollfd){ .fd = has_place && !full ? relay->listener : -1, .events = POLLIN };
	return API_POLLS;
}

void api_serve(struct api_relay *relay, const struct pollfd *polls)
{
	if (relay->listener < 0)
		return;
	for (int index = 0; index < API_CONNECTIONS; index++)
		if (api_connection_is_open(&relay->connections[index]))
			api_connection_serve(&relay->connections[index], polls + 1 + 2 * index, &relay->agent);
	if (polls[0].revents)
		take_clients(relay);
}
