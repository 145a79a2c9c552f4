#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void *reserve(struct nl_request *request, size_t size)
{
	size_t at = NLMSG_ALIGN(request->header.nlmsg_len);

	if (at + NLMSG_ALIGN(size) > sizeof(request->bytes)) {
		request->overflow = 1;
		return NULL;
	}
	memset(request->bytes + at, 0, NLMSG_ALIGN(size));
	request->header.nlmsg_len = (uint32_t)(at + size);
	return request->bytes + at;
}

void nl_begin(struct nl_request *request, uint16_t type, uint16_t flags, const void *family, size_t size)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_len = NLMSG_HDRLEN;
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	void *at = reserve(request, size);
	if (at)
		memcpy(at, family, size);
}

void nl_put(struct nl_request *request, uint16_t type, const void *bytes, size_t size)
{
	struct rtattr *attribute = reserve(request, RTA_LENGTH(size));

	if (!attribute)
		return;
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), bytes, size);
}

void nl_put_text(struct nl_request *request, uint16_t type, const char *text)
{
	nl_put(request, type, text, strlen(text) + 1);
}

void nl_put_u32(struct nl_request *request, uint16_t type, uint32_t value)
{
	nl_put(request, type, &value, sizeof(value));
}

size_t nl_nest(struct nl_request *request, uint16_t type, size_t extra)
{
	struct rtattr *attribute = reserve(request, RTA_LENGTH(extra));

	if (!attribute)
		return 0;
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(extra);
	return (size_t)((unsigned char *)attribute - request->bytes);
}

void nl_end(struct nl_request *request, size_t nest)
{
	if (request->overflow)
		return;
	struct rtattr *attribute = (struct rtattr *)(void *)(request->bytes + nest);
	attribute->rta_len = (uint16_t)(NLMSG_ALIGN(request->header.nlmsg_len) - nest);
}

int nl_open(void)
{
	struct timeval limit = { .tv_sec = 5 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

int nl_ask(int socket, struct nl_request *request)
{
	union {
		struct nlmsghdr header;
		unsigned char bytes[4096];
	} answer;

	if (request->overflow) {
		errno = EMSGSIZE;
		return -1;
	}
	if (send(socket, request->bytes, request->header.nlmsg_len, 0) < 0)
		return -1;
	for (;;) {
		ssize_t count = recv(socket, answer.bytes, sizeof(answer.bytes), 0);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -1;
		if ((size_t)count < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || answer.header.nlmsg_type != NLMSG_ERROR)
			continue;
		struct nlmsgerr *result = NLMSG_DATA(&answer.header);
		if (result->error == 0)
			return 0;
		errno = -result->error;
		return -1;
	}
}
