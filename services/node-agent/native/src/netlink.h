#ifndef ATOLL_NETLINK_H
#define ATOLL_NETLINK_H

#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

/* One rtnetlink request under construction. Overrunning the buffer sets `overflow`. */
struct nl_request {
	union {
		struct nlmsghdr header;
		unsigned char bytes[1024];
	};
	int overflow;
};

void nl_begin(struct nl_request *request, uint16_t type, uint16_t flags, const void *family, size_t size);
void nl_put(struct nl_request *request, uint16_t type, const void *bytes, size_t size);
void nl_put_text(struct nl_request *request, uint16_t type, const char *text);
void nl_put_u32(struct nl_request *request, uint16_t type, uint32_t value);
/* Opens an attribute that holds others; `extra` bytes of zeros come first (veth's peer header). */
size_t nl_nest(struct nl_request *request, uint16_t type, size_t extra);
void nl_end(struct nl_request *request, size_t nest);

int nl_open(void);
/* Sends the request and waits for its acknowledgement; 0, or -1 with the kernel's errno. */
int nl_ask(int socket, struct nl_request *request);

#endif
