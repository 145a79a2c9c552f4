#ifndef ATOLL_DNS_RELAY_H
#define ATOLL_DNS_RELAY_H

#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <sys/un.h>

#include "client.h"
#include "dns-sockets.h"
#include "err.h"
#include "services.h"

/* Queries that may wait for an answer, and connections at the same time; what is more is not answered. */
enum { DNS_ASKERS = 256, DNS_STREAMS = 8, DNS_POLLS = 3 + DNS_STREAMS };
/*
 * Frames between a relay and the agent; all but HELLO begin with a u32 that names the asker, 0 with SERVICES: the agent's whole list of the
 * container's services (service-list.h), and its answer, u32 0 or the errno for which the list is not carried out.
 */
enum dns_frame { DNS_HELLO = 1, DNS_DATAGRAM, DNS_STREAM, DNS_STREAM_END, DNS_SERVICES };

/*
 * Carries what programs of a container send to 127.0.0.11:53 to the agent, unread, and its answers back. An agent that is not there
 * is connected to again with the next query; programs ask again by themselves. A container with services also has to hear of their
 * changes: its relay connects once a second.
 */
struct dns_relay {
	struct dns_sockets sockets; /* in the container's network */
	struct sockaddr_un resolver;
	const char *id;
	struct client agent;        /* free: not connected */
	uint64_t retry_ms;          /* with services: not connected to again before */
	struct services services;
	uint32_t next;              /* the last names given */
	struct sockaddr_in askers[DNS_ASKERS];
	uint32_t asked[DNS_ASKERS];
	struct { int fd; uint32_t name; } streams[DNS_STREAMS];
};

void dns_init(struct dns_relay *relay);
/* Opens the sockets in `netns`; does nothing when they are open. `resolver` is copied, `id` is not. */
int dns_open(struct dns_relay *relay, int netns, const char *resolver, const char *id, struct err *err);
void dns_close(struct dns_relay *relay);

/* What to wait for (DNS_POLLS places), for how long (ms, -1 without bound), and what to do when it has come or the time is up. */
int dns_poll(const struct dns_relay *relay, struct pollfd *polls);
void dns_serve(struct dns_relay *relay, const struct pollfd *polls);

#endif
