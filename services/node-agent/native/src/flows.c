#include "flows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"
#include "netlink.h"

static const char STEP[] = "forget flows";

static struct rtattr *find(struct rtattr *attribute, int left, unsigned type)
{
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if ((attribute->rta_type & (unsigned)NLA_TYPE_MASK) == type)
			return attribute;
	return NULL;
}

static struct rtattr *inside(struct rtattr *nest, unsigned type, size_t least)
{
	struct rtattr *found = nest ? find(RTA_DATA(nest), (int)RTA_PAYLOAD(nest), type) : NULL;

	return found && RTA_PAYLOAD(found) >= least ? found : NULL;
}

static int read_flow(struct rtattr *tuple, struct rtattr *reply, struct flow *flow)
{
	struct rtattr *ip = inside(tuple, CTA_TUPLE_IP, 0), *back = inside(reply, CTA_TUPLE_IP, 0);
	struct rtattr *proto = inside(tuple, CTA_TUPLE_PROTO, 0);
	struct rtattr *number = inside(proto, CTA_PROTO_NUM, 1);
	struct rtattr *port = inside(proto, CTA_PROTO_DST_PORT, 2);
	struct rtattr *v4 = inside(ip, CTA_IP_V4_DST, 4), *from_v4 = inside(back, CTA_IP_V4_SRC, 4);
	struct rtattr *v6 = inside(ip, CTA_IP_V6_DST, 16), *from_v6 = inside(back, CTA_IP_V6_SRC, 16);

	if (!number || !port || ((!v4 || !from_v4) && (!v6 || !from_v6)))
		return -1;
	int is_v4 = v4 && from_v4;
	flow->destination = RTA_DATA(is_v4 ? v4 : v6);
	flow->answerer = RTA_DATA(is_v4 ? from_v4 : from_v6);
	flow->address_length = is_v4 ? 4 : 16;
	flow->protocol = *(uint8_t *)RTA_DATA(number);
	memcpy(&flow->port, RTA_DATA(port), sizeof(flow->port));
	flow->port = ntohs(flow->port);
	return 0;
}

/* The one flow of this tuple; 0 also when it has ended meanwhile. */
static int forget(int socket_fd, struct nlmsghdr *header, struct rtattr *tuple, struct rtattr *id, struct rtattr *zone)
{
	struct nfgenmsg family = { .nfgen_family = ((struct nfgenmsg *)NLMSG_DATA(header))->nfgen_family };
	struct nl_batch batch = { .length = 0 };

	nl_begin(&batch, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, &family, sizeof(family));
	nl_put(&batch, tuple->rta_type, RTA_DATA(tuple), RTA_PAYLOAD(tuple));
	if (id)
		nl_put(&batch, id->rta_type, RTA_DATA(id), RTA_PAYLOAD(id));
	if (zone)
		nl_put(&batch, zone->rta_type, RTA_DATA(zone), RTA_PAYLOAD(zone));
	return nl_ask(socket_fd, &batch, NULL) < 0 && errno != ENOENT ? -1 : 0;
}

/* What is asked, and who carries it out. */
struct wish {
	int (*is_wanted)(const struct flow *flow, const void *context);
	const void *context;
	int changing;
};

static int look_at(struct nlmsghdr *header, const struct wish *wish)
{
	struct flow flow;

	if (header->nlmsg_len < NLMSG_SPACE(sizeof(struct nfgenmsg)))
		return 0;
	struct rtattr *first = (struct rtattr *)(void *)((char *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(struct nfgenmsg)));
	int left = (int)(header->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg)));
	struct rtattr *tuple = find(first, left, CTA_TUPLE_ORIG);
	if (!tuple || read_flow(tuple, find(first, left, CTA_TUPLE_REPLY), &flow) < 0 || !wish->is_wanted(&flow, wish->context))
		return 0;
	return forget(wish->changing, header, tuple, find(first, left, CTA_ID), find(first, left, CTA_ZONE));
}

int flows_exist(void)
{
	CLEANUP_CLOSE int count = open("/proc/sys/net/netfilter/nf_conntrack_count", O_RDONLY | O_CLOEXEC);
	char text[2];

	return count < 0 || read(count, text, sizeof(text)) != (ssize_t)sizeof(text) || memcmp(text, "0\n", sizeof(text)) != 0;
}

int flows_forget(int (*is_wanted)(const struct flow *flow, const void *context), const void *context, struct err *err)
{
	/* The kernel fills two pages at a time for who offers no more. */
	static union {
		struct nlmsghdr header;
		char bytes[16384];
	} answer;
	CLEANUP_CLOSE int reading = nl_open_netfilter();
	CLEANUP_CLOSE int changing = nl_open_netfilter();
	struct wish wish = { is_wanted, context, changing };
	struct nfgenmsg family = { .nfgen_family = AF_UNSPEC };
	struct nl_batch batch = { .length = 0 };

	nl_begin(&batch, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, &family, sizeof(family));
	if (reading < 0 || changing < 0 || send(reading, nl_bytes(&batch), batch.length, 0) < 0)
		return err_sys(err, STEP, "ask for the flows");
	for (;;) {
		ssize_t count = recv(reading, answer.bytes, sizeof(answer.bytes), 0);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return err_sys(err, STEP, "read the flows");
		int left = (int)count;
		for (struct nlmsghdr *header = &answer.header; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
			if (header->nlmsg_type == NLMSG_DONE)
				return 0;
			if (header->nlmsg_type == NLMSG_ERROR) {
				errno = header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)) ? -((struct nlmsgerr *)NLMSG_DATA(header))->error : EPROTO;
				return err_sys(err, STEP, "list the flows");
			}
			if (look_at(header, &wish) < 0)
				return err_sys(err, STEP, "end a flow");
		}
	}
}
