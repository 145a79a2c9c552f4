#include "dns-relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"

enum { AT_AGENT, AT_DATAGRAMS, AT_LISTENER, AT_STREAMS };
enum { NAME_BYTES = 4, LARGEST = 60 * 1024, ROUND = 64, RETRY_MS = 1000 };

static const char STEP[] = "network";
static uint8_t buffer[NAME_BYTES + LARGEST];

void dns_init(struct dns_relay *relay)
{
	memset(relay, 0, sizeof(*relay));
	relay->agent.fd = -1;
	dns_sockets_init(&relay->sockets);
	services_init(&relay->services);
	for (int index = 0; index < DNS_STREAMS; index++)
		relay->streams[index].fd = -1;
}

int dns_open(struct dns_relay *relay, int netns, const char *resolver, const char *id, struct err *err)
{
	CLEANUP_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (relay->sockets.datagrams >= 0)
		return 0;
	if (home < 0 || setns(netns, CLONE_NEWNET) < 0)
		return err_sys(err, STEP, "enter the container's namespace");
	int result = dns_sockets_open(&relay->sockets);
	if (result < 0)
		err_sys(err, STEP, "listen on 127.0.0.11 in the container");
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	if (result < 0) {
		dns_close(relay);
		return -1;
	}
	relay->resolver.sun_family = AF_UNIX;
	snprintf(relay->resolver.sun_path, sizeof(relay->resolver.sun_path), "%s", resolver);
	relay->id = id;
	return 0;
}

static void end_stream(struct dns_relay *relay, int index)
{
	if (relay->streams[index].fd >= 0)
		close(relay->streams[index].fd);
	relay->streams[index].fd = -1;
}

/* The answers of what was asked are lost with the agent. */
static void lose_agent(struct dns_relay *relay)
{
	client_close(&relay->agent);
	relay->agent.fd = -1;
	relay->retry_ms = now_monotonic_ms() + RETRY_MS;
	memset(relay->asked, 0, sizeof(relay->asked));
	for (int index = 0; index < DNS_STREAMS; index++)
		end_stream(relay, index);
}

void dns_close(struct dns_relay *relay)
{
	lose_agent(relay);
	services_close(&relay->services);
	dns_sockets_close(&relay->sockets);
}

/* Never waits: an agent that is not there, or has no room, is as good as a lost packet. */
static int reach_agent(struct dns_relay *relay)
{
	if (client_is_open(&relay->agent))
		return client_pending(&relay->agent) > CLIENT_OUT_LIMIT ? -1 : 0;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&relay->resolver, sizeof(relay->resolver)) < 0) {
		close(fd);
		return -1;
	}
	client_open(&relay->agent, fd);
	if (client_send(&relay->agent, DNS_HELLO, relay->id, strlen(relay->id)) == 0)
		return 0;
	lose_agent(relay);
	return -1;
}

/* `buffer` holds `length` bytes behind the place of the name. */
static int tell_agent(struct dns_relay *relay, enum dns_frame type, uint32_t name, size_t length)
{
	if (reach_agent(relay) < 0)
		return -1;
	memcpy(buffer, &name, NAME_BYTES);
	if (client_send(&relay->agent, (uint8_t)type, buffer, NAME_BYTES + length) == 0)
		return 0;
	lose_agent(relay);
	return -1;
}

/* Zero is nobody's. */
static uint32_t next_name(struct dns_relay *relay)
{
	if (++relay->next == 0)
		relay->next = 1;
	return relay->next;
}

static void take_datagrams(struct dns_relay *relay)
{
	for (int count = 0; count < ROUND; count++) {
		struct sockaddr_in asker;
		socklen_t size = sizeof(asker);
		ssize_t length = recvfrom(relay->sockets.datagrams, buffer + NAME_BYTES, LARGEST, 0, (struct sockaddr *)&asker, &size);

		if (length < 0)
			return;
		uint32_t name = next_name(relay);
		/* The oldest makes room: its program has asked again by now, or has gone. */
		relay->askers[name % DNS_ASKERS] = asker;
		relay->asked[name % DNS_ASKERS] = name;
		tell_agent(relay, DNS_DATAGRAM, name, (size_t)length);
	}
}

static void take_stream(struct dns_relay *relay)
{
	int fd = accept4(relay->sockets.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	for (int index = 0; index < DNS_STREAMS; index++) {
		if (relay->streams[index].fd >= 0)
			continue;
		relay->streams[index].fd = fd;
		relay->streams[index].name = next_name(relay);
		return;
	}
	close(fd);
}

static void read_stream(struct dns_relay *relay, int index)
{
	ssize_t length = read(relay->streams[index].fd, buffer + NAME_BYTES, LARGEST);
	uint32_t name = relay->streams[index].name;

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length > 0 && tell_agent(relay, DNS_STREAM, name, (size_t)length) == 0)
		return;
	if (length <= 0 && client_is_open(&relay->agent))
		tell_agent(relay, DNS_STREAM_END, name, 0);
	end_stream(relay, index);
}

/* A program that does not take its answer at once loses it. */
static void answer_stream(struct dns_relay *relay, int index, enum dns_frame type, const uint8_t *bytes, size_t length)
{
	if (type == DNS_STREAM && send(relay->streams[index].fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length)
		return;
	end_stream(relay, index);
	if (type == DNS_STREAM)
		tell_agent(relay, DNS_STREAM_END, relay->streams[index].name, 0);
}

static void take_services(struct dns_relay *relay, const uint8_t *bytes, size_t length)
{
	uint32_t reason = (uint32_t)services_take(&relay->services, relay->sockets.datagrams, bytes, length);

	memcpy(buffer + NAME_BYTES, &reason, sizeof(reason));
	tell_agent(relay, DNS_SERVICES, 0, sizeof(reason));
}

static void answer(struct dns_relay *relay, enum dns_frame type, const uint8_t *payload, size_t length)
{
	uint32_t name;

	if (length < NAME_BYTES)
		return;
	memcpy(&name, payload, NAME_BYTES);
	payload += NAME_BYTES;
	length -= NAME_BYTES;
	if (type == DNS_DATAGRAM && name != 0 && relay->asked[name % DNS_ASKERS] == name) {
		const struct sockaddr_in *asker = &relay->askers[name % DNS_ASKERS];

		relay->asked[name % DNS_ASKERS] = 0;
		sendto(relay->sockets.datagrams, payload, length, MSG_NOSIGNAL, (const struct sockaddr *)asker, sizeof(*asker));
	}
	if (type == DNS_SERVICES)
		take_services(relay, payload, length);
	for (int index = 0; index < DNS_STREAMS && (type == DNS_STREAM || type == DNS_STREAM_END); index++)
		if (relay->streams[index].fd >= 0 && relay->streams[index].name == name)
			answer_stream(relay, index, type, payload, length);
}

static void serve_agent(struct dns_relay *relay, short events)
{
	size_t length = 0;
	int result = 0;

	if (events & (POLLIN | POLLHUP | POLLERR))
		result = client_read(&relay->agent, &length);
	if (result > 0) {
		answer(relay, (enum dns_frame)relay->agent.header[0], relay->agent.payload, length);
		client_forget_payload(&relay->agent);
	}
	if (result >= 0 && (events & POLLOUT) && client_is_open(&relay->agent))
		result = client_flush(&relay->agent);
	if (result < 0)
		lose_agent(relay);
}

/* Its services change without a query. */
static int wants_agent(const struct dns_relay *relay)
{
	return services_exist(&relay->services) && !client_is_open(&relay->agent);
}

int dns_poll(const struct dns_relay *relay, struct pollfd *polls)
{
	uint64_t now = now_monotonic_ms();
	int full = client_is_open(&relay->agent) && client_pending(&relay->agent) > CLIENT_OUT_LIMIT;
	int pending = client_is_open(&relay->agent) && client_pending(&relay->agent) > 0;

	polls[AT_AGENT] = (struct pollfd){ .fd = relay->agent.fd, .events = (short)(POLLIN | (pending ? POLLOUT : 0)) };
	polls[AT_DATAGRAMS] = (struct pollfd){ .fd = full ? -1 : relay->sockets.datagrams, .events = POLLIN };
	polls[AT_LISTENER] = (struct pollfd){ .fd = relay->sockets.listener, .events = POLLIN };
	for (int index = 0; index < DNS_STREAMS; index++)
		polls[AT_STREAMS + index] = (struct pollfd){ .fd = full ? -1 : relay->streams[index].fd, .events = POLLIN };
	if (!wants_agent(relay))
		return -1;
	return relay->retry_ms > now ? (int)(relay->retry_ms - now) : 0;
}

void dns_serve(struct dns_relay *relay, const struct pollfd *polls)
{
	if (wants_agent(relay) && now_monotonic_ms() >= relay->retry_ms) {
		relay->retry_ms = now_monotonic_ms() + RETRY_MS;
		reach_agent(relay);
	}
	if (polls[AT_AGENT].revents && client_is_open(&relay->agent))
		serve_agent(relay, polls[AT_AGENT].revents);
	for (int index = 0; index < DNS_STREAMS; index++)
		if (polls[AT_STREAMS + index].revents && relay->streams[index].fd >= 0)
			read_stream(relay, index);
	if (polls[AT_DATAGRAMS].revents && relay->sockets.datagrams >= 0)
		take_datagrams(relay);
	if (polls[AT_LISTENER].revents && relay->sockets.listener >= 0)
		take_stream(relay);
}
