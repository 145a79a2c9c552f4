#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commands.h"
#include "err.h"
#include "io.h"
#include "netlink.h"

/*
 * Tells when somebody changes the nftables tables of one name, in any family, so that the agent need not look for it: a line
 * "changed" on standard output, one for what came together. Elements of sets are left out: the agent itself changes those all the
 * time. Ends with its standard input.
 */

static const char STEP[] = "watch tables";

/* The first attribute of tables, chains, rules, sets, objects and flow tables is the table's name. */
_Static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 && NFTA_SET_TABLE == 1, "table name");

static int concerns(struct nlmsghdr *header, const char *table)
{
	unsigned kind = header->nlmsg_type & 0xff;

	if (header->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || kind == NFT_MSG_NEWGEN || kind == NFT_MSG_NEWSETELEM ||
	    kind == NFT_MSG_DELSETELEM || header->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg)))
		return 0;
	struct rtattr *attribute = (struct rtattr *)(void *)((char *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(struct nfgenmsg)));
	int left = (int)(header->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg)));
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if ((attribute->rta_type & (unsigned)NLA_TYPE_MASK) == NFTA_TABLE_NAME)
			return strnlen(RTA_DATA(attribute), RTA_PAYLOAD(attribute)) == strlen(table) &&
			       memcmp(RTA_DATA(attribute), table, strlen(table)) == 0;
	return 0;
}

/* 1: something has changed, 0: nothing of ours, -1 with errno. Takes all that is there. */
static int drain(int socket, const char *table)
{
	static union {
		struct nlmsghdr header;
		char bytes[65536];
	} buffer;
	int changed = 0;

	for (;;) {
		ssize_t count = recv(socket, buffer.bytes, sizeof(buffer.bytes), MSG_DONTWAIT);

		if (count < 0 && errno == EAGAIN)
			return changed;
		/* More came than the socket holds: what was lost may have been ours. */
		if (count < 0 && errno == ENOBUFS) {
			changed = 1;
			continue;
		}
		if (count < 0 && errno != EINTR)
			return -1;
		int left = (int)count;
		for (struct nlmsghdr *header = &buffer.header; count > 0 && NLMSG_OK(header, left); header = NLMSG_NEXT(header, left))
			changed |= concerns(header, table);
	}
}

static int watch(const char *table, struct err *err)
{
	int group = NFNLGRP_NFTABLES;
	CLEANUP_CLOSE int socket_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct pollfd watched[] = { { .fd = 0, .events = POLLIN }, { .fd = socket_fd, .events = POLLIN } };

	struct sockaddr_nl own = { .nl_family = AF_NETLINK };

	/* A socket without an address of its own is passed over. */
	if (socket_fd < 0 || bind(socket_fd, (struct sockaddr *)&own, sizeof(own)) < 0 ||
	    setsockopt(socket_fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return err_sys(err, STEP, "listen to nftables");
	if (write_all(1, "ready\n", 6) < 0)
		return err_sys(err, STEP, "tell");
	for (;;) {
		if (poll(watched, 2, -1) < 0 && errno != EINTR)
			return err_sys(err, STEP, "poll");
		if (watched[0].revents)
			return 0;
		if (!watched[1].revents)
			continue;
		int changed = drain(socket_fd, table);
		if (changed < 0)
			return err_sys(err, STEP, "read");
		if (changed && write_all(1, "changed\n", 8) < 0)
			return errno == EPIPE ? 0 : err_sys(err, STEP, "tell");
	}
}

int command_watch_tables(int argc, char **argv)
{
	struct err err = { 0 };

	if (argc != 1 || *argv[0] == '\0')
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim watch-tables <name>");
	else if (watch(argv[0], &err) == 0)
		return 0;
	err_report(&err, 2);
	return 1;
}
