#include "endpoints.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "address-binding.h"
#include "announce.h"
#include "io.h"
#include "macvlan.h"
#include "netlink.h"
#include "network.h"

static const char STEP[] = "network";

enum { BUSY_MILLISECONDS = 2000, BUSY_STEP_MILLISECONDS = 20 };

/* What works in the container's network from outside: both keep the namespace they were opened in. */
struct inside {
	int rtnetlink;
	int ipv6_off; /* the setting that later interfaces take over; -1 where no endpoint has IPv6 */
};

static int wants_ipv6(const struct endpoint_plan *endpoint)
{
	for (size_t index = 0; index < endpoint->address_count; index++)
		if (endpoint->addresses[index].family == AF_INET6)
			return 1;
	return 0;
}

static int any_ipv6(const struct endpoints_plan *plan)
{
	for (size_t index = 0; index < plan->count; index++)
		if (wants_ipv6(&plan->items[index]))
			return 1;
	return 0;
}

static void leave_netns(int home)
{
	/* Whatever goes on here would happen to the container's network: better not at all. */
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
}

static int open_inside(int netns, int ipv6, struct inside *inside, struct err *err)
{
	CLEANUP_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	*inside = (struct inside){ -1, -1 };
	if (home < 0 || setns(netns, CLONE_NEWNET) < 0)
		return err_sys(err, STEP, "enter the container's namespace");
	inside->rtnetlink = nl_open();
	int failed = inside->rtnetlink < 0;
	/*
	 * Addresses are given once in the cluster: nothing is gained by a second without one while the kernel looks for duplicates.
	 * Settings of an interface that exists are not written, see network.c.
	 */
	if (!failed && ipv6) {
		inside->ipv6_off = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
		failed = inside->ipv6_off < 0 || write_file_at(-1, "/proc/sys/net/ipv6/conf/default/accept_dad", "0") < 0;
	}
	if (failed)
		err_sys(err, STEP, inside->rtnetlink < 0 ? "open rtnetlink" : "IPv6 of the container");
	leave_netns(home);
	return failed ? -1 : 0;
}

static void close_inside(struct inside *inside)
{
	if (inside->rtnetlink >= 0)
		close(inside->rtnetlink);
	if (inside->ipv6_off >= 0)
		close(inside->ipv6_off);
}

static int index_inside(int socket, const char *name, struct err *err)
{
	struct ifreq interface = { 0 };

	snprintf(interface.ifr_name, sizeof(interface.ifr_name), "%s", name);
	return ioctl(socket, SIOCGIFINDEX, &interface) < 0 ? err_sys(err, STEP, "find %s", name) : interface.ifr_ifindex;
}

static void put_address(struct nl_batch *batch, const struct ip_plan *ip, int index)
{
	size_t size = ip->family == AF_INET ? 4 : 16;
	struct ifaddrmsg address = {
		.ifa_family = ip->family, .ifa_prefixlen = ip->prefix, .ifa_index = (unsigned)index,
		.ifa_flags = ip->family == AF_INET6 ? IFA_F_NODAD : 0,
	};

	nl_begin(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &address, sizeof(address));
	nl_put(batch, IFA_LOCAL, ip->bytes, size);
	nl_put(batch, IFA_ADDRESS, ip->bytes, size);
	if (ip->family == AF_INET && ip->prefix < 31)
		network_put_broadcast(batch, ip->bytes, ip->prefix);
}

static int give_addresses(const struct endpoint_plan *endpoint, int socket, struct err *err)
{
	struct ifinfomsg up = { .ifi_family = AF_UNSPEC, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nl_batch batch = { .length = 0 };
	uint32_t failed = 0;

	up.ifi_index = index_inside(socket, endpoint->link.container_interface, err);
	if (up.ifi_index < 0)
		return -1;
	nl_begin(&batch, RTM_NEWLINK, 0, &up, sizeof(up));
	for (size_t index = 0; index < endpoint->address_count; index++)
		put_address(&batch, &endpoint->addresses[index], up.ifi_index);
	for (int waited = 0; nl_ask(socket, &batch, &failed) < 0; waited += BUSY_STEP_MILLISECONDS) {
		/* The macvlan link of a run before, whose shim was killed, has the hardware address until its namespace is gone. */
		if (!endpoint->parent || failed != 0 || (errno != EADDRINUSE && errno != EBUSY) || waited >= BUSY_MILLISECONDS)
			return err_sys(err, STEP, "%s %s", failed == 0 ? "bring up" : "set an address of", endpoint->link.container_interface);
		nanosleep(&(struct timespec){ .tv_nsec = BUSY_STEP_MILLISECONDS * 1000000L }, NULL);
	}
	return 0;
}

static int make_within(const struct endpoint_plan *endpoint, int netns, int inside, struct endpoint_links *links, struct err *err)
{
	struct err ignored;
	int index = macvlan_make(endpoint, netns, inside, err);

	if (index < 0)
		return -1;
	if (links_adopt_within(links, endpoint->link.host_interface, (unsigned)index, inside, err) == 0)
		return index;
	macvlan_delete(inside, (unsigned)index, &ignored);
	return -1;
}

static int make_pair(const struct endpoint_plan *endpoint, int netns, struct endpoint_links *links, struct err *err)
{
	unsigned outer = 0;
	int result = network_connect_bridge(&endpoint->link, netns, &outer, err);

	if (outer != 0)
		links_adopt(links, endpoint->link.host_interface, outer);
	return result;
}

static int make_link(const struct endpoint_plan *endpoint, int netns, const struct inside *inside, struct endpoint_links *links, struct err *err)
{
	int ipv6 = wants_ipv6(endpoint);

	if (links->count == ENDPOINTS_MAX)
		return err_set(err, ENOSPC, STEP, "a container can be in %d networks", ENDPOINTS_MAX);
	if (ipv6 && write(inside->ipv6_off, "0", 1) < 0)
		return err_sys(err, STEP, "allow IPv6");
	int result = endpoint->parent ? make_within(endpoint, netns, inside->rtnetlink, links, err) : make_pair(endpoint, netns, links, err);
	if (ipv6 && write(inside->ipv6_off, "1", 1) < 0 && result >= 0)
		result = err_sys(err, STEP, "refuse IPv6 of later interfaces");
	if (result < 0 || give_addresses(endpoint, inside->rtnetlink, err) < 0)
		return -1;
	if (endpoint->parent)
		announce_addresses(endpoint, netns, (unsigned)result);
	return 0;
}

static int set_gateway(const struct gateway_plan *gateway, int socket, struct err *err)
{
	struct rtmsg route = {
		.rtm_family = gateway->address.family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST,
	};
	struct nl_batch batch = { .length = 0 };
	int index = index_inside(socket, gateway->interface, err);

	if (index < 0)
		return -1;
	nl_begin(&batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &route, sizeof(route));
	nl_put(&batch, RTA_GATEWAY, gateway->address.bytes, route.rtm_family == AF_INET ? 4 : 16);
	nl_put_u32(&batch, RTA_OIF, (uint32_t)index);
	return nl_ask(socket, &batch, NULL) < 0 ? err_sys(err, STEP, "set the default route by %s", gateway->interface) : 0;
}

/* Settings somebody asked for; keys were checked with the plan. */
static int write_settings(const struct endpoints_plan *plan, int netns, struct err *err)
{
	CLEANUP_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int result = 0;

	if (home < 0 || setns(netns, CLONE_NEWNET) < 0)
		return err_sys(err, STEP, "enter the container's namespace");
	for (size_t index = 0; index < plan->sysctl_count && result == 0; index++) {
		char path[256];

		snprintf(path, sizeof(path), "/proc/sys/%s", plan->sysctls[index].key);
		if (write_file_at(-1, path, plan->sysctls[index].value) < 0)
			result = err_sys(err, STEP, "write %s", plan->sysctls[index].key);
	}
	leave_netns(home);
	return result;
}

int endpoints_apply(const struct endpoints_plan *plan, int netns, struct endpoint_links *links, struct err *err)
{
	struct inside inside;

	if (plan->count == 0 && links->count == 0 && plan->gateway_count == 0)
		return 0;
	if (links_delete_others(links, plan, err) < 0)
		return -1;
	int result = open_inside(netns, any_ipv6(plan), &inside, err);
	for (size_t index = 0; index < plan->count && result == 0; index++) {
		/* Before it is there: what it says first must be heard. Of one that is, the table may have been made anew without it. */
		if (plan->binding && !plan->items[index].parent)
			result = binding_admit(plan->binding, &plan->items[index], err);
		if (result == 0 && !links_have(links, plan->items[index].link.host_interface))
			result = make_link(&plan->items[index], netns, &inside, links, err);
	}
	if (result == 0 && plan->sysctl_count > 0)
		result = write_settings(plan, netns, err);
	for (size_t index = 0; index < plan->gateway_count && result == 0; index++)
		result = set_gateway(&plan->gateways[index], inside.rtnetlink, err);
	close_inside(&inside);
	return result;
}
