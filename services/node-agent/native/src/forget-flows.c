#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "commands.h"
#include "err.h"
#include "flows.h"
#include "io.h"

/*
 * Ends what the kernel remembers of UDP flows to ports of this host, so that their next datagram is looked up in the rules: a client
 * that goes on sending from one port would else be led to where the port led before. Flows that only pass through are left alone.
 */

struct ports {
	int count;
	uint16_t values[65535];
	struct ifaddrs *own;
};

static int is_own(const struct ifaddrs *own, const struct flow *flow)
{
	for (; own; own = own->ifa_next) {
		if (!own->ifa_addr)
			continue;
		const struct sockaddr_in *v4 = (const void *)own->ifa_addr;
		const struct sockaddr_in6 *v6 = (const void *)own->ifa_addr;
		if (own->ifa_addr->sa_family == AF_INET && flow->address_length == 4 && memcmp(&v4->sin_addr, flow->destination, 4) == 0)
			return 1;
		if (own->ifa_addr->sa_family == AF_INET6 && flow->address_length == 16 && memcmp(&v6->sin6_addr, flow->destination, 16) == 0)
			return 1;
	}
	return 0;
}

static int is_asked(const struct flow *flow, const void *context)
{
	const struct ports *ports = context;

	if (flow->protocol != IPPROTO_UDP)
		return 0;
	for (int index = 0; index < ports->count; index++)
		if (ports->values[index] == flow->port)
			return is_own(ports->own, flow);
	return 0;
}

int command_forget_flows(int argc, char **argv)
{
	static struct ports ports;
	struct err err = { 0 };

	for (; ports.count < argc && ports.count < 65535; ports.count++) {
		uint64_t port;

		if (parse_decimal(argv[ports.count], 65535, &port) < 0 || port == 0)
			break;
		ports.values[ports.count] = (uint16_t)port;
	}
	if (argc == 0 || ports.count < argc) {
		err_set(&err, EINVAL, "arguments", "usage: atoll-shim forget-flows <port>...");
	} else if (getifaddrs(&ports.own) < 0) {
		err_sys(&err, "forget flows", "list addresses");
	} else {
		int result = flows_forget(is_asked, &ports, &err);

		freeifaddrs(ports.own);
		if (result == 0)
			return 0;
	}
	err_report(&err, 2);
	return 1;
}
