#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commands.h"
#include "err.h"
#include "io.h"
#include "netlink.h"

/*
 * Ends what the kernel remembers of UDP flows to ports of this host, so that their next datagram is looked up in the rules: a client
 * that goes on sending from one port would else be led to where the port led before. Flows that only pass through are left alone.
 */

static const char STEP[] = "forget flows";

/* What is looked at of a flow, as the client began it. */
struct flow {
	const void *address; /* of the destination, network order */
	size_t address_length;
	uint16_t port;
	uint8_t protocol;
};

struct ports {
	int count;
	uint16_t values[65535];
};

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

static int read_flow(struct rtattr *tuple, struct flow *flow)
{
	struct rtattr *ip = inside(tuple, CTA_TUPLE_IP, 0);
	struct rtattr *proto = inside(tuple, CTA_TUPLE_PROTO, 0);
	struct rtattr *number = inside(proto, CTA_PROTO_NUM, 1);
	struct rtattr *port = inside(proto, CTA_PROTO_DST_PORT, 2);
	struct rtattr *v4 = inside(ip, CTA_IP_V4_DST, 4);
	struct rtattr *v6 = inside(ip, CTA_IP_V6_DST, 16);

	if (!number || !port || (!v4 && !v6))
		return -1;
	flow->address = RTA_DATA(v4 ? v4 : v6);
	flow->address_length = v4 ? 4 : 16;
	flow->protocol = *(uint8_t *)RTA_DATA(number);
	memcpy(&flow->port, RTA_DATA(port), sizeof(flow->port));
	flow->port = ntohs(flow->port);
	return 0;
}

static int is_own(const struct ifaddrs *own, const struct flow *flow)
{
	for (; own; own = own->ifa_next) {
		if (!own->ifa_addr)
			continue;
		const struct sockaddr_in *v4 = (const void *)own->ifa_addr;
		const struct sockaddr_in6 *v6 = (const void *)own->ifa_addr;
		if (own->ifa_addr->sa_family == AF_INET && flow->address_length == 4 && memcmp(&v4->sin_addr, flow->address, 4) == 0)
			return 1;
		if (own->ifa_addr->sa_family == AF_INET6 && flow->address_length == 16 && memcmp(&v6->sin6_addr, flow->address, 16) == 0)
			return 1;
	}
	return 0;
}

static int is_asked(const struct ports *ports, const struct ifaddrs *own, const struct flow *flow)
{
	if (flow->protocol != IPPROTO_UDP)
		return 0;
	for (int index = 0; index < ports->count; index++)
		if (ports->values[index] == flow->port)
			return is_own(own, flow);
	return 0;
}

/* The one flow of this tuple; 0 also when it has ended meanwhile. */
static int forget(int socket_fd, struct nlmsghdr *header, struct rtattr *tuple, struct rtattr *id, struct rtattr *zone)
{
	struct nfgenmsg family = { .nfgen_family = ((struct nfgenmsg *)NLMSG_DATA(header))->nfgen_family };
	struct nl_batch batch = { 0 };

	nl_begin(&batch, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, &family, sizeof(family));
	nl_put(&batch, tuple->rta_type, RTA_DATA(tuple), RTA_PAYLOAD(tuple));
	if (id)
		nl_put(&batch, id->rta_type, RTA_DATA(id), RTA_PAYLOAD(id));
	if (zone)
		nl_put(&batch, zone->rta_type, RTA_DATA(zone), RTA_PAYLOAD(zone));
	return nl_ask(socket_fd, &batch, NULL) < 0 && errno != ENOENT ? -1 : 0;
}

static int look_at(int changing, struct nlmsghdr *header, const struct ports *ports, const struct ifaddrs *own)
{
	struct flow flow;

	if (header->nlmsg_len < NLMSG_SPACE(sizeof(struct nfgenmsg)))
		return 0;
	struct rtattr *first = (struct rtattr *)(void *)((char *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(struct nfgenmsg)));
	int left = (int)(header->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg)));
	struct rtattr *tuple = find(first, left, CTA_TUPLE_ORIG);
	if (!tuple || read_flow(tuple, &flow) < 0 || !is_asked(ports, own, &flow))
		return 0;
	return forget(changing, header, tuple, find(first, left, CTA_ID), find(first, left, CTA_ZONE));
}

static int open_netfilter(void)
{
	struct timeval limit = { .tv_sec = 5 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* Looks at all flows of the host; what ends or begins meanwhile may be passed over, for it was looked up in the present rules. */
static int forget_flows(const struct ports *ports, const struct ifaddrs *own, struct err *err)
{
	static union {
		struct nlmsghdr header;
		char bytes[65536];
	} answer;
	CLEANUP_CLOSE int reading = open_netfilter();
	CLEANUP_CLOSE int changing = open_netfilter();
	struct nfgenmsg family = { .nfgen_family = AF_UNSPEC };
	struct nl_batch batch = { 0 };

	nl_begin(&batch, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, NLM_F_DUMP, &family, sizeof(family));
	if (reading < 0 || changing < 0 || send(reading, batch.bytes, batch.length, 0) < 0)
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
			if (look_at(changing, header, ports, own) < 0)
				return err_sys(err, STEP, "end a flow");
		}
	}
}

int command_forget_flows(int argc, char **argv)
{
	static struct ports ports;
	struct ifaddrs *own = NULL;
	struct err err = { 0 };

	for (; ports.count < argc && ports.count < 65535; ports.count++) {
		uint64_t port;

		if (parse_decimal(argv[ports.count], 65535, &port) < 0 || port == 0)
			break;
		ports.values[ports.count] = (uint16_t)port;
	}
	if (argc == 0 || ports.count < argc) {
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim forget-flows <port>...");
	} else if (getifaddrs(&own) < 0) {
		err_sys(&err, STEP, "list addresses");
	} else {
		int result = forget_flows(&ports, own, &err);

		freeifaddrs(own);
		if (result == 0)
			return 0;
	}
	err_report(&err, 2);
	return 1;
}
