#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct nlmsghdr *current(struct nl_batch *batch)
{
	return (struct nlmsghdr *)(void *)(nl_bytes(batch) + batch->current);
}

static void *reserve(struct nl_batch *batch, size_t size)
{
	size_t at = NLMSG_ALIGN(batch->length), room = batch->larger ? batch->room : sizeof(batch->own);

	if (batch->overflow || at + NLMSG_ALIGN(size) > room) {
		batch->overflow = 1;
		return NULL;
	}
	memset(nl_bytes(batch) + at, 0, NLMSG_ALIGN(size));
	batch->length = at + size;
	return nl_bytes(batch) + at;
}

/* The request's own length follows what was put into it. */
static void measure(struct nl_batch *batch)
{
	if (!batch->overflow)
		current(batch)->nlmsg_len = (uint32_t)(batch->length - batch->current);
}

void nl_begin_quietly(struct nl_batch *batch, uint16_t type, uint16_t flags, const void *family, size_t size)
{
	struct nlmsghdr *header = reserve(batch, NLMSG_HDRLEN);

	if (!header)
		return;
	batch->current = (size_t)((unsigned char *)header - nl_bytes(batch));
	header->nlmsg_type = type;
	header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	header->nlmsg_seq = batch->count;
	void *at = reserve(batch, size);
	if (at)
		memcpy(at, family, size);
	measure(batch);
}

void nl_begin(struct nl_batch *batch, uint16_t type, uint16_t flags, const void *family, size_t size)
{
	nl_begin_quietly(batch, type, flags | NLM_F_ACK, family, size);
	batch->count++;
}

void nl_put(struct nl_batch *batch, uint16_t type, const void *bytes, size_t size)
{
	struct rtattr *attribute = reserve(batch, RTA_LENGTH(size));

	if (!attribute)
		return;
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), bytes, size);
	measure(batch);
}

void nl_put_text(struct nl_batch *batch, uint16_t type, const char *text)
{
	nl_put(batch, type, text, strlen(text) + 1);
}

void nl_put_u32(struct nl_batch *batch, uint16_t type, uint32_t value)
{
	nl_put(batch, type, &value, sizeof(value));
}

size_t nl_nest(struct nl_batch *batch, uint16_t type, size_t extra)
{
	struct rtattr *attribute = reserve(batch, RTA_LENGTH(extra));

	if (!attribute)
		return 0;
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(extra);
	measure(batch);
	return (size_t)((unsigned char *)attribute - nl_bytes(batch));
}

void nl_end(struct nl_batch *batch, size_t nest)
{
	if (batch->overflow)
		return;
	struct rtattr *attribute = (struct rtattr *)(void *)(nl_bytes(batch) + nest);
	/* The kernel passes over an attribute that ends behind the message: the padding has to be part of both. */
	batch->length = NLMSG_ALIGN(batch->length);
	attribute->rta_len = (uint16_t)(batch->length - nest);
	measure(batch);
}

static int open_family(int family)
{
	struct timeval limit = { .tv_sec = 5 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

int nl_open(void)
{
	return open_family(NETLINK_ROUTE);
}

int nl_open_netfilter(void)
{
	return open_family(NETLINK_NETFILTER);
}

int nl_ask(int socket, struct nl_batch *batch, uint32_t *failed)
{
	union {
		struct nlmsghdr header;
		unsigned char bytes[4096];
	} answer;
	int problem = 0;

	if (batch->overflow) {
		errno = EMSGSIZE;
		return -1;
	}
	if (send(socket, nl_bytes(batch), batch->length, 0) < 0)
		return -1;
	for (uint32_t acknowledged = 0; acknowledged < batch->count;) {
		ssize_t count = recv(socket, answer.bytes, sizeof(answer.bytes), 0);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -1;
		if ((size_t)count < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || answer.header.nlmsg_type != NLMSG_ERROR)
			continue;
		struct nlmsgerr *result = NLMSG_DATA(&answer.header);
		if (result->error != 0 && problem == 0) {
			problem = -result->error;
			if (failed)
				*failed = acknowledged;
		}
		acknowledged++;
	}
	errno = problem;
	return problem == 0 ? 0 : -1;
}
