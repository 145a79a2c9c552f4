#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "netlink.h"

static const char STEP[] = "network";

enum { LEAVE_MILLISECONDS = 1000, LEAVE_STEP_MILLISECONDS = 50 };

/* rtnetlink and ioctls of this socket mean the namespace it was opened in, wherever the process goes. */
static int enter_and_open(int netns, struct err *err)
{
	/*
	 * Interfaces made later take these over. Writing them for "all" or for an interface would spin for as long as
	 * another process holds the kernel's lock of all interfaces: milliseconds for each link that is being removed.
	 */
	static const char *const settings[][2] = {
		{ "/proc/sys/net/ipv6/conf/default/accept_ra", "0" },
		{ "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1" },
	};
	CLEANUP_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (home < 0 || setns(netns, CLONE_NEWNET) < 0)
		return err_sys(err, STEP, "enter the container's namespace");
	int socket = nl_open();
	if (socket < 0)
		err_sys(err, STEP, "open rtnetlink");
	for (size_t index = 0; socket >= 0 && index < sizeof(settings) / sizeof(*settings); index++)
		if (write_file_at(-1, settings[index][0], settings[index][1]) < 0 && errno != ENOENT) {
			err_sys(err, STEP, "write %s", settings[index][0]);
			close(socket);
			socket = -1;
		}
	/* Whatever goes on here would happen to the container's network: better not at all. */
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	return socket;
}

static void set_up(struct nl_batch *batch, int index)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };

	nl_begin(batch, RTM_NEWLINK, 0, &info, sizeof(info));
}

/*
 * A port of the bridge takes frames from one hardware address only: the bridge learns nothing from it and drops what has another
 * sender (Linux 5.16; an older one ignores "locked"). Which IPv4 address goes with it is the business of the agent's rules.
 * "Mode" lets a frame back out: where bridged frames are filtered (br_netfilter) a container's packet to a port it publishes itself
 * never leaves the bridge.
 */
static void put_port_lock(struct nl_batch *batch)
{
	static const uint8_t off = 0, on = 1;
	size_t link = nl_nest(batch, IFLA_LINKINFO, 0);

	nl_put_text(batch, IFLA_INFO_SLAVE_KIND, "bridge");
	size_t port = nl_nest(batch, IFLA_INFO_SLAVE_DATA, 0);
	nl_put(batch, IFLA_BRPORT_LEARNING, &off, sizeof(off));
	nl_put(batch, IFLA_BRPORT_LOCKED, &on, sizeof(on));
	nl_put(batch, IFLA_BRPORT_MODE, &on, sizeof(on));
	nl_end(batch, port);
	nl_end(batch, link);
}

static void put_only_sender(struct nl_batch *batch, const struct network_plan *network, unsigned index)
{
	struct ndmsg neighbour = {
		.ndm_family = AF_BRIDGE, .ndm_ifindex = (int)index, .ndm_state = NUD_NOARP, .ndm_flags = NTF_MASTER,
	};

	nl_begin(batch, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &neighbour, sizeof(neighbour));
	nl_put(batch, NDA_LLADDR, network->mac, sizeof(network->mac));
}

/* The pair with its inner end up in `netns`; then the outer end up, found by its name. */
static void put_pair(struct nl_batch *batch, const struct network_plan *network, unsigned bridge, int netns)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };

	nl_begin(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	nl_put_text(batch, IFLA_IFNAME, network->host_interface);
	nl_put_u32(batch, IFLA_MTU, network->mtu);
	nl_put_u32(batch, IFLA_MASTER, bridge);
	size_t link = nl_nest(batch, IFLA_LINKINFO, 0);
	nl_put_text(batch, IFLA_INFO_KIND, "veth");
	size_t data = nl_nest(batch, IFLA_INFO_DATA, 0);
	size_t peer = nl_nest(batch, VETH_INFO_PEER, sizeof(info));
	nl_put_text(batch, IFLA_IFNAME, network->container_interface);
	nl_put_u32(batch, IFLA_MTU, network->mtu);
	nl_put(batch, IFLA_ADDRESS, network->mac, sizeof(network->mac));
	nl_put_u32(batch, IFLA_NET_NS_FD, (uint32_t)netns);
	nl_end(batch, peer);
	nl_end(batch, data);
	nl_end(batch, link);
	set_up(batch, 0);
	nl_put_text(batch, IFLA_IFNAME, network->host_interface);
	put_port_lock(batch);
	/* A bridge port needs no address of its own. A kernel without IPv6 would refuse the attribute. */
	if (access("/proc/sys/net/ipv6", F_OK) < 0)
		return;
	size_t families = nl_nest(batch, IFLA_AF_SPEC, 0);
	size_t family = nl_nest(batch, AF_INET6, 0);
	static const uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
	nl_put(batch, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	nl_end(batch, family);
	nl_end(batch, families);
}

int network_connect_bridge(const struct network_plan *network, int netns, unsigned *index, struct err *err)
{
	struct nl_batch batch = { .length = 0 }, sender = { .length = 0 };
	uint32_t failed = 0;
	CLEANUP_CLOSE int socket = nl_open();
	unsigned bridge = if_nametoindex(network->bridge);

	if (socket < 0)
		return err_sys(err, STEP, "open rtnetlink");
	if (bridge == 0)
		return err_sys(err, STEP, "bridge %s", network->bridge);
	put_pair(&batch, network, bridge, netns);
	int made = nl_ask(socket, &batch, &failed);
	/* The interface of the run before may still be on its way out. */
	if (made < 0 && failed == 0 && errno == EEXIST && network_delete(network->host_interface, err) == 0)
		made = nl_ask(socket, &batch, &failed);
	if (made < 0)
		return err_sys(err, STEP, "%s veth %s on bridge %s", failed == 0 ? "make" : "bring up", network->host_interface, network->bridge);
	*index = if_nametoindex(network->host_interface);
	put_only_sender(&sender, network, *index);
	if (nl_ask(socket, &sender, NULL) < 0)
		return err_sys(err, STEP, "note the hardware address of %s", network->host_interface);
	return 0;
}

void network_put_broadcast(struct nl_batch *batch, const uint8_t *address, int prefix)
{
	uint8_t broadcast[4];

	for (int byte = 0; byte < 4; byte++) {
		int bits = prefix - byte * 8;
		uint8_t mask = bits >= 8 ? 0xff : bits <= 0 ? 0 : (uint8_t)(0xff << (8 - bits));

		broadcast[byte] = (uint8_t)(address[byte] | (uint8_t)~mask);
	}
	nl_put(batch, IFA_BROADCAST, broadcast, 4);
}

static void put_address(struct nl_batch *batch, const struct network_plan *network, unsigned index)
{
	struct ifaddrmsg address = { .ifa_family = AF_INET, .ifa_prefixlen = network->prefix, .ifa_index = index };

	nl_begin(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof(address));
	nl_put(batch, IFA_LOCAL, network->address, 4);
	nl_put(batch, IFA_ADDRESS, network->address, 4);
	network_put_broadcast(batch, network->address, network->prefix);
}

static void put_default_route(struct nl_batch *batch, const struct network_plan *network, unsigned index)
{
	struct rtmsg route = {
		.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST,
	};

	nl_begin(batch, RTM_NEWROUTE, NLM_F_CREATE, &route, sizeof(route));
	nl_put(batch, RTA_GATEWAY, network->gateway, 4);
	nl_put_u32(batch, RTA_OIF, index);
}

int network_build(const struct network_plan *network, int netns, unsigned *link, struct err *err)
{
	static const char *const steps[] = { "bring up loopback", "bring up the interface", "set the address", "set the default route" };
	static const uint8_t none[4];
	struct nl_batch batch = { .length = 0 };
	uint32_t failed = 0;
	CLEANUP_CLOSE int inside = enter_and_open(netns, err);

	if (inside < 0 || (network && network_connect_bridge(network, netns, link, err) < 0))
		return -1;
	set_up(&batch, 1);
	if (network) {
		struct ifreq interface = { 0 };

		snprintf(interface.ifr_name, sizeof(interface.ifr_name), "%s", network->container_interface);
		if (ioctl(inside, SIOCGIFINDEX, &interface) < 0)
			return err_sys(err, STEP, "find %s", network->container_interface);
		set_up(&batch, interface.ifr_ifindex);
		put_address(&batch, network, (unsigned)interface.ifr_ifindex);
		if (memcmp(network->gateway, none, 4) != 0)
			put_default_route(&batch, network, (unsigned)interface.ifr_ifindex);
	}
	return nl_ask(inside, &batch, &failed) < 0 ? err_sys(err, STEP, "%s", steps[failed]) : 0;
}

/* By its name or, with none, by its index. */
static int delete_link(const char *name, unsigned index, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };
	struct nl_batch batch = { .length = 0 };
	CLEANUP_CLOSE int socket = nl_open();

	if (socket < 0)
		return err_sys(err, STEP, "open rtnetlink");
	nl_begin(&batch, RTM_DELLINK, 0, &info, sizeof(info));
	if (name)
		nl_put_text(&batch, IFLA_IFNAME, name);
	if (nl_ask(socket, &batch, NULL) < 0 && errno != ENODEV)
		return err_sys(err, STEP, "remove %s", name ? name : "the container's link");
	return 0;
}

int network_delete(const char *interface, struct err *err)
{
	return delete_link(interface, 0, err);
}

void network_leave(unsigned link)
{
	char name[IF_NAMESIZE];
	struct err ignored;

	for (int waited = 0; waited < LEAVE_MILLISECONDS; waited += LEAVE_STEP_MILLISECONDS) {
		if (!if_indextoname(link, name))
			return;
		nanosleep(&(struct timespec){ .tv_nsec = LEAVE_STEP_MILLISECONDS * 1000000L }, NULL);
	}
	/* By its index: the name may belong to the container's next run by now. */
	delete_link(NULL, link, &ignored);
}
