#ifndef ATOLL_NETLINK_H
#define ATOLL_NETLINK_H

#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Netlink requests under construction, carried out one after the other by one system call. Overrunning the
 * buffer sets `overflow`.
 */
struct nl_batch {
	union {
		struct nlmsghdr first;
		unsigned char own[4096];
	};
	/* For what is larger: `room` bytes of the user's, aligned as a header. NULL: `own`. */
	unsigned char *larger;
	size_t room;
	size_t length, current;
	uint32_t count;
	int overflow;
};

static inline unsigned char *nl_bytes(struct nl_batch *batch)
{
	return batch->larger ? batch->larger : batch->own;
}
/* Begins the next request; what is put from here on belongs to it. */
void nl_begin(struct nl_batch *batch, uint16_t type, uint16_t flags, const void *family, size_t size);
/* The same, but only a failure is answered. */
void nl_begin_quietly(struct nl_batch *batch, uint16_t type, uint16_t flags, const void *family, size_t size);
void nl_put(struct nl_batch *batch, uint16_t type, const void *bytes, size_t size);
void nl_put_text(struct nl_batch *batch, uint16_t type, const char *text);
void nl_put_u32(struct nl_batch *batch, uint16_t type, uint32_t value);
/* Opens an attribute that holds others; `extra` bytes of zeros come first (veth's peer header). */
size_t nl_nest(struct nl_batch *batch, uint16_t type, size_t extra);
void nl_end(struct nl_batch *batch, size_t nest);

/* rtnetlink. */
int nl_open(void);
int nl_open_netfilter(void);
/*
 * Sends the requests and waits for the acknowledgement of each; 0, or -1 with the kernel's errno for the first that
 * failed and its index in `failed` (may be NULL). The kernel carries out the others as well.
 */
int nl_ask(int socket, struct nl_batch *batch, uint32_t *failed);

#endif
