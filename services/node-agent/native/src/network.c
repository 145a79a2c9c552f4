#include "network.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"
#include "netlink.h"

static const char STEP[] = "network";

static int set_up(int socket, unsigned index, const char *name, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nl_request request;

	nl_begin(&request, RTM_NEWLINK, 0, &info, sizeof(info));
	if (nl_ask(socket, &request) < 0)
		return err_sys(err, STEP, "bring up %s", name);
	return 0;
}

int network_connect(const struct network_plan *network, int netns, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct nl_request request;
	char path[96];
	CLEANUP_CLOSE int socket = nl_open();
	unsigned bridge = if_nametoindex(network->bridge);

	if (socket < 0)
		return err_sys(err, STEP, "open rtnetlink");
	if (bridge == 0)
		return err_sys(err, STEP, "bridge %s", network->bridge);
	nl_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	nl_put_text(&request, IFLA_IFNAME, network->host_interface);
	nl_put_u32(&request, IFLA_MTU, network->mtu);
	nl_put_u32(&request, IFLA_MASTER, bridge);
	size_t link = nl_nest(&request, IFLA_LINKINFO, 0);
	nl_put_text(&request, IFLA_INFO_KIND, "veth");
	size_t data = nl_nest(&request, IFLA_INFO_DATA, 0);
	size_t peer = nl_nest(&request, VETH_INFO_PEER, sizeof(info));
	nl_put_text(&request, IFLA_IFNAME, network->container_interface);
	nl_put_u32(&request, IFLA_MTU, network->mtu);
	nl_put(&request, IFLA_ADDRESS, network->mac, sizeof(network->mac));
	nl_put_u32(&request, IFLA_NET_NS_FD, (uint32_t)netns);
	nl_end(&request, peer);
	nl_end(&request, data);
	nl_end(&request, link);
	/* The interface of the run before may still be on its way out. */
	if (nl_ask(socket, &request) < 0 && (errno != EEXIST || network_delete(network->host_interface, err) < 0 || nl_ask(socket, &request) < 0))
		return err_sys(err, STEP, "make veth %s on bridge %s", network->host_interface, network->bridge);
	/* A bridge port needs no address of its own. IPv6 may be compiled out: then there is nothing to switch off. */
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", network->host_interface);
	write_file_at(-1, path, "1");
	unsigned host = if_nametoindex(network->host_interface);
	if (host == 0)
		return err_sys(err, STEP, "find %s", network->host_interface);
	return set_up(socket, host, network->host_interface, err);
}

static int add_address(int socket, const struct network_plan *network, unsigned index, struct err *err)
{
	struct ifaddrmsg address = { .ifa_family = AF_INET, .ifa_prefixlen = network->prefix, .ifa_index = index };
	uint8_t broadcast[4];
	struct nl_request request;

	for (int byte = 0; byte < 4; byte++) {
		int bits = network->prefix - byte * 8;
		uint8_t mask = bits >= 8 ? 0xff : bits <= 0 ? 0 : (uint8_t)(0xff << (8 - bits));

		broadcast[byte] = (uint8_t)(network->address[byte] | (uint8_t)~mask);
	}
	nl_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof(address));
	nl_put(&request, IFA_LOCAL, network->address, 4);
	nl_put(&request, IFA_ADDRESS, network->address, 4);
	nl_put(&request, IFA_BROADCAST, broadcast, 4);
	if (nl_ask(socket, &request) < 0)
		return err_sys(err, STEP, "set the address of %s", network->container_interface);
	return 0;
}

static int add_default_route(int socket, const struct network_plan *network, unsigned index, struct err *err)
{
	struct rtmsg route = {
		.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST,
	};
	struct nl_request request;

	nl_begin(&request, RTM_NEWROUTE, NLM_F_CREATE, &route, sizeof(route));
	nl_put(&request, RTA_GATEWAY, network->gateway, 4);
	nl_put_u32(&request, RTA_OIF, index);
	if (nl_ask(socket, &request) < 0)
		return err_sys(err, STEP, "set the default route");
	return 0;
}

int network_inside(const struct network_plan *network, int proc, struct err *err)
{
	static const char *const settings[][2] = {
		{ "sys/net/ipv6/conf/default/accept_ra", "0" },
		{ "sys/net/ipv6/conf/all/accept_ra", "0" },
		{ "sys/net/ipv6/conf/default/disable_ipv6", "1" },
		{ "sys/net/ipv6/conf/all/disable_ipv6", "1" },
	};
	static const uint8_t none[4];
	CLEANUP_CLOSE int socket = nl_open();

	if (socket < 0)
		return err_sys(err, STEP, "open rtnetlink");
	for (size_t index = 0; index < sizeof(settings) / sizeof(*settings); index++)
		if (write_file_at(proc, settings[index][0], settings[index][1]) < 0 && errno != ENOENT)
			return err_sys(err, STEP, "write %s", settings[index][0]);
	if (set_up(socket, 1, "lo", err) < 0)
		return -1;
	if (!network)
		return 0;
	unsigned index = if_nametoindex(network->container_interface);
	if (index == 0)
		return err_sys(err, STEP, "find %s", network->container_interface);
	/* "all" and "default" do not reach an interface that exists. */
	char path[96];
	snprintf(path, sizeof(path), "sys/net/ipv6/conf/%s/accept_ra", network->container_interface);
	if (write_file_at(proc, path, "0") < 0 && errno != ENOENT)
		return err_sys(err, STEP, "write %s", path);
	if (add_address(socket, network, index, err) < 0 || set_up(socket, index, network->container_interface, err) < 0)
		return -1;
	return memcmp(network->gateway, none, 4) == 0 ? 0 : add_default_route(socket, network, index, err);
}

int network_delete(const char *interface, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct nl_request request;
	CLEANUP_CLOSE int socket = nl_open();

	if (socket < 0)
		return err_sys(err, STEP, "open rtnetlink");
	nl_begin(&request, RTM_DELLINK, 0, &info, sizeof(info));
	nl_put_text(&request, IFLA_IFNAME, interface);
	if (nl_ask(socket, &request) < 0 && errno != ENODEV)
		return err_sys(err, STEP, "remove %s", interface);
	return 0;
}
