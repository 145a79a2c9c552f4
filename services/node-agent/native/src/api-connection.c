#include "api-connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "io.h"

enum { PIECE = 32 * 1024, AGENT_MS = 10000 };

static const char AWAY[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 73\r\n\r\n"
			   "{\"message\":\"the agent of this container's host does not run; try again\"}\n";

void api_connection_init(struct api_connection *connection)
{
	memset(connection, 0, sizeof(*connection));
	connection->client = connection->agent = -1;
}

static size_t waiting(const struct api_flow *flow)
{
	return flow->end - flow->at;
}

void api_connection_end(struct api_connection *connection)
{
	if (connection->client >= 0)
		close(connection->client);
	if (connection->agent >= 0)
		close(connection->agent);
	free(connection->up.bytes);
	free(connection->down.bytes);
	api_connection_init(connection);
}

static void put_frame(struct api_flow *flow, enum api_frame type, size_t length)
{
	frame_header(flow->bytes, (uint8_t)type, (uint32_t)length);
	flow->at = 0;
	flow->end = FRAME_HEADER + length;
}

static void lose_agent(struct api_connection *connection)
{
	connection->agent_gone = 1;
	connection->up.at = connection->up.end = 0;
}

static void lose_client(struct api_connection *connection)
{
	connection->client_gone = 1;
	connection->down.at = connection->down.end = 0;
}

/* Never waits: an agent that restarts, or has too many at its door, is tried again until the time is up. */
static void reach_agent(struct api_connection *connection, const struct sockaddr_un *agent)
{
	uint64_t now = now_monotonic_ms();

	if (now < connection->try_ms)
		return;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)agent, sizeof(*agent)) == 0) {
		connection->agent = fd;
		return;
	}
	if (fd >= 0)
		close(fd);
	connection->try_ms = now + API_TRY_MS;
	if (now < connection->until_ms)
		return;
	memcpy(connection->down.bytes, AWAY, sizeof(AWAY) - 1);
	connection->down.end = sizeof(AWAY) - 1;
	connection->agent_ended = 1;
	lose_agent(connection);
}

void api_connection_begin(struct api_connection *connection, int client, const char *id, const struct sockaddr_un *agent)
{
	size_t length = strlen(id);

	connection->client = client;
	connection->up.bytes = malloc(FRAME_HEADER + PIECE);
	connection->down.bytes = malloc(PIECE);
	if (!connection->up.bytes || !connection->down.bytes || length > PIECE) {
		api_connection_end(connection);
		return;
	}
	memcpy(connection->up.bytes + FRAME_HEADER, id, length);
	put_frame(&connection->up, API_HELLO, length);
	connection->until_ms = now_monotonic_ms() + AGENT_MS;
	reach_agent(connection, agent);
}

/* 1 with bytes, 0 at the end, -1 when there is nothing now. */
static int pull(int fd, struct api_flow *flow, size_t room_before)
{
	ssize_t count = read(fd, flow->bytes + room_before, PIECE);

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return -1;
	if (count <= 0)
		return 0;
	flow->at = 0;
	flow->end = room_before + (size_t)count;
	return 1;
}

/* -1: nobody takes it any more. */
static int push(int fd, struct api_flow *flow)
{
	while (waiting(flow) > 0) {
		ssize_t count = send(fd, flow->bytes + flow->at, waiting(flow), MSG_NOSIGNAL);

		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (count < 0)
			return -1;
		flow->at += (size_t)count;
	}
	return 0;
}

static int awaits_agent(const struct api_connection *connection)
{
	return connection->agent < 0 && !connection->agent_gone;
}

static int reads_client(const struct api_connection *connection)
{
	return connection->agent >= 0 && !connection->agent_gone && !connection->client_ended && waiting(&connection->up) == 0;
}

static int reads_agent(const struct api_connection *connection)
{
	return connection->agent >= 0 && !connection->agent_ended && !connection->client_gone && waiting(&connection->down) == 0;
}

static void serve_client(struct api_connection *connection, short events)
{
	if ((events & (POLLIN | POLLHUP | POLLERR)) && reads_client(connection)) {
		int result = pull(connection->client, &connection->up, FRAME_HEADER);

		if (result > 0)
			put_frame(&connection->up, API_DATA, connection->up.end - FRAME_HEADER);
		connection->client_ended = result == 0;
	}
	if (events & (POLLHUP | POLLERR))
		lose_client(connection);
}

static void serve_agent(struct api_connection *connection, short events)
{
	if ((events & (POLLIN | POLLHUP | POLLERR)) && reads_agent(connection))
		connection->agent_ended = pull(connection->agent, &connection->down, 0) == 0;
	if (events & (POLLHUP | POLLERR))
		lose_agent(connection);
}

/* What has come by now goes on at once, without another round of waiting. */
static void move_on(struct api_connection *connection, const struct sockaddr_un *agent)
{
	if (awaits_agent(connection))
		reach_agent(connection, agent);
	if (connection->agent >= 0 && push(connection->agent, &connection->up) < 0)
		lose_agent(connection);
	/* One who is gone sends no end: by that the agent tells them apart. */
	if (connection->client_ended && !connection->client_gone && !connection->end_told && !connection->agent_gone && waiting(&connection->up) == 0) {
		connection->end_told = 1;
		put_frame(&connection->up, API_END, 0);
		if (push(connection->agent, &connection->up) < 0)
			lose_agent(connection);
	}
	if (push(connection->client, &connection->down) < 0)
		lose_client(connection);
	if (connection->agent_ended && !connection->answer_ended && waiting(&connection->down) == 0) {
		connection->answer_ended = 1;
		shutdown(connection->client, SHUT_WR);
	}
	/* Of one who is gone, what it had sent before is still carried on. */
	int sent = connection->agent_gone || (connection->client_ended && waiting(&connection->up) == 0 && (connection->end_told || connection->client_gone));
	int answered = connection->client_gone || connection->answer_ended;
	if (sent && answered)
		api_connection_end(connection);
}

int api_connection_poll(const struct api_connection *connection, struct pollfd polls[2])
{
	short client = (short)((reads_client(connection) ? POLLIN : 0) | (waiting(&connection->down) > 0 ? POLLOUT : 0));
	short agent = (short)((reads_agent(connection) ? POLLIN : 0) | (waiting(&connection->up) > 0 ? POLLOUT : 0));

	/* Without a wish looked at for its end alone, and not again after it: that is told each time. */
	polls[0] = (struct pollfd){ .fd = client || !connection->client_gone ? connection->client : -1, .events = client };
	polls[1] = (struct pollfd){ .fd = agent || !connection->agent_gone ? connection->agent : -1, .events = agent };
	return awaits_agent(connection);
}

void api_connection_serve(struct api_connection *connection, const struct pollfd polls[2], const struct sockaddr_un *agent)
{
	if (!polls[0].revents && !polls[1].revents && !awaits_agent(connection))
		return;
	if (polls[0].revents)
		serve_client(connection, polls[0].revents);
	if (polls[1].revents)
		serve_agent(connection, polls[1].revents);
	move_on(connection, agent);
}
