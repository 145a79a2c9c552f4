#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"
#include "oci-runtime.h"
#include "shim.h"
#include "socket.h"

enum { FIXED = 6, IDLE_STALL_MS = 200 };
enum { AT_LISTENER, AT_PROCESS, AT_SYNC, AT_OUT, AT_ERROR, AT_STDIN };
enum { AT_DNS = FIXED + SHIM_CLIENTS, AT_API = AT_DNS + DNS_POLLS, POLLS = AT_API + API_POLLS };

void shim_init(struct shim *shim)
{
	memset(shim, 0, sizeof(*shim));
	shim->userns = shim->made.root = shim->made.nodes = shim->apparmor = shim->selinux = -1;
	shim->listener = shim->bundle = shim->lock = shim->exit_file = shim->sync = shim->pidfd = -1;
	shim->log.file = shim->log.directory = -1;
	links_init(&shim->endpoints);
	dns_init(&shim->dns);
	api_init(&shim->api);
	for (int index = 0; index < SHIM_CLIENTS; index++)
		shim->clients[index].fd = -1;
}

void shim_drop(struct shim *shim, struct client *client)
{
	int had_stdin = client->attached & ATTACH_STDIN;

	if (shim->starter == client)
		shim->starter = NULL;
	if (shim->shutdown_asker == client)
		shim->shutdown_asker = NULL;
	if (shim->launcher == client)
		shim->launcher = NULL;
	client_close(client);
	/* Docker's StdinOnce: the first who had it and leaves ends it. */
	if (had_stdin && !shim->finished && shim->plan.process.stdin_mode == STDIN_ONCE && !shim->stdio.tty) {
		shim->stdin_ending = 1;
		shim_feed_stdin(shim);
	}
}

void shim_send(struct shim *shim, struct client *client, uint8_t type, const void *payload, size_t length)
{
	if (client_send(client, type, payload, length) < 0)
		shim_drop(shim, client);
}

static void accept_client(struct shim *shim)
{
	int fd = socket_accept(shim->listener);

	if (fd < 0)
		return;
	for (int index = 0; index < SHIM_CLIENTS; index++) {
		if (client_is_open(&shim->clients[index]))
			continue;
		client_open(&shim->clients[index], fd);
		return;
	}
	close(fd);
}

/* Who launched a container and leaves before its start does not want it any more, and is told when nothing is left. */
static int is_abandoned(const struct shim *shim, const struct client *client)
{
	return client == shim->launcher && shim->status == STATUS_CREATED && !shim->starting && !shim->finished;
}

static void hang_up(struct shim *shim, struct client *client)
{
	if (!is_abandoned(shim, client)) {
		shim_drop(shim, client);
		return;
	}
	client->hung_up = 1;
	shim_shut_down(shim);
}

static void serve_input(struct shim *shim, struct client *client)
{
	size_t length = 0;
	int result = client_read(client, &length);

	if (result == 0)
		return;
	if (result < 0) {
		hang_up(shim, client);
		return;
	}
	uint8_t type = client->header[0];
	/* After the end only the state can be asked for; what was under way is thrown away. */
	int keep = shim->finished && type != FRAME_STATE ? 0 : shim_request(shim, client, type, client->payload, length);
	client_forget_payload(client);
	if (keep < 0)
		shim_drop(shim, client);
}

static void serve_client(struct shim *shim, struct client *client, short events)
{
	if (client_is_open(client) && (events & (POLLIN | POLLHUP | POLLERR)))
		serve_input(shim, client);
	if (client_is_open(client) && (events & POLLOUT) && client_flush(client) < 0)
		shim_drop(shim, client);
}

/* Everything is queued: once it is written, end our side; close when the other does, or in time. */
static int serve_leaving(struct shim *shim, uint64_t now)
{
	int open = 0;

	for (int index = 0; index < SHIM_CLIENTS; index++) {
		struct client *client = &shim->clients[index];

		if (!client_is_open(client))
			continue;
		if (client_pending(client) == 0 && client->leaving == 1) {
			client->leaving = 2;
			shutdown(client->fd, SHUT_WR);
		}
		if (now >= client->leaving_until_ms || (client->hung_up && client->leaving == 2))
			client_close(client);
		else
			open = 1;
	}
	return open;
}

static short wants_input(const struct shim *shim, const struct client *client)
{
	int stdin_full = shim->stdin_end - shim->stdin_at > STDIN_LIMIT;

	return client->hung_up || (stdin_full && (client->attached & ATTACH_STDIN) && !shim->finished) ? 0 : POLLIN;
}

void shim_loop(struct shim *shim)
{
	struct pollfd polls[POLLS];

	for (;;) {
		if (shim->finished && !serve_leaving(shim, now_monotonic_ms()))
			return;
		int block_out = shim_output_blocked(shim, 1), block_error = shim_output_blocked(shim, 2);

		polls[AT_LISTENER] = (struct pollfd){ .fd = shim->listener, .events = POLLIN };
		polls[AT_PROCESS] = (struct pollfd){ .fd = shim->finished ? -1 : shim->pidfd, .events = POLLIN };
		polls[AT_SYNC] = (struct pollfd){ .fd = shim->sync, .events = POLLIN };
		polls[AT_OUT] = (struct pollfd){ .fd = block_out ? -1 : shim->stdio.out, .events = POLLIN };
		polls[AT_ERROR] = (struct pollfd){ .fd = block_error ? -1 : shim->stdio.error, .events = POLLIN };
		polls[AT_STDIN] = (struct pollfd){ .fd = shim->stdin_at < shim->stdin_end ? shim->stdio.in : -1, .events = POLLOUT };
		for (int index = 0; index < SHIM_CLIENTS; index++) {
			struct client *client = &shim->clients[index];
			short out = client_pending(client) > 0 ? POLLOUT : 0;
			short events = (short)(out | wants_input(shim, client));

			/* Without a wish it is not looked at: a hang-up would be told again and again. */
			polls[FIXED + index] = (struct pollfd){ .fd = events ? client->fd : -1, .events = events };
		}
		int timeout, dns_timeout = dns_poll(&shim->dns, &polls[AT_DNS]);
		nfds_t count = AT_API + api_poll(&shim->api, &polls[AT_API], &timeout);
		if (timeout < 0 || (dns_timeout >= 0 && dns_timeout < timeout))
			timeout = dns_timeout;
		if (shim->finished || block_out || block_error)
			timeout = timeout < 0 ? IDLE_STALL_MS : timeout;
		if (poll(polls, count, timeout) < 0) {
			if (errno != EINTR)
				return;
			/* A child has ended: the process itself, seen by its descriptor, or an orphan it left. */
			oci_reap(shim->pid);
			continue;
		}
		if (polls[AT_OUT].revents && shim->stdio.out >= 0)
			shim_copy_output(shim, &shim->stdio.out, 1, 0);
		if (polls[AT_ERROR].revents && shim->stdio.error >= 0)
			shim_copy_output(shim, &shim->stdio.error, 2, 0);
		if (polls[AT_STDIN].revents)
			shim_feed_stdin(shim);
		if (polls[AT_SYNC].revents && shim->sync >= 0)
			shim_exec_result(shim);
		for (int index = 0; index < SHIM_CLIENTS; index++)
			if (polls[FIXED + index].fd >= 0)
				serve_client(shim, &shim->clients[index], polls[FIXED + index].revents);
		dns_serve(&shim->dns, &polls[AT_DNS]);
		api_serve(&shim->api, &polls[AT_API]);
		if (polls[AT_LISTENER].revents && shim->listener >= 0)
			accept_client(shim);
		if (polls[AT_PROCESS].revents && !shim->finished)
			shim_finish(shim);
	}
}
