#include "macvlan.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "io.h"
#include "netlink.h"

static const char STEP[] = "network";

static int ask_for_link(const struct endpoint_plan *endpoint, int netns, unsigned parent, int socket)
{
	const struct network_plan *link = &endpoint->link;
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC };
	struct nl_batch batch = { .length = 0 };

	nl_begin(&batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
	nl_put_text(&batch, IFLA_IFNAME, link->container_interface);
	nl_put_u32(&batch, IFLA_LINK, parent);
	nl_put(&batch, IFLA_ADDRESS, link->mac, sizeof(link->mac));
	nl_put_u32(&batch, IFLA_NET_NS_FD, (uint32_t)netns);
	if (link->mtu != 0)
		nl_put_u32(&batch, IFLA_MTU, link->mtu);
	size_t described = nl_nest(&batch, IFLA_LINKINFO, 0);
	nl_put_text(&batch, IFLA_INFO_KIND, "macvlan");
	size_t data = nl_nest(&batch, IFLA_INFO_DATA, 0);
	nl_put_u32(&batch, IFLA_MACVLAN_MODE, endpoint->macvlan_mode);
	nl_end(&batch, data);
	nl_end(&batch, described);
	return nl_ask(socket, &batch, NULL);
}

/* A new link of this mode has its parent's hardware address, whatever was asked for. */
static int set_passthru_address(const struct network_plan *link, int index, int inside)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	struct nl_batch batch = { .length = 0 };

	nl_begin(&batch, RTM_NEWLINK, 0, &info, sizeof(info));
	nl_put(&batch, IFLA_ADDRESS, link->mac, sizeof(link->mac));
	return nl_ask(inside, &batch, NULL);
}

int macvlan_make(const struct endpoint_plan *endpoint, int netns, int inside, struct err *err)
{
	const struct network_plan *link = &endpoint->link;
	struct ifreq interface = { 0 };
	struct err ignored;
	CLEANUP_CLOSE int socket = nl_open();
	unsigned parent = if_nametoindex(endpoint->parent);

	if (socket < 0)
		return err_sys(err, STEP, "open rtnetlink");
	if (parent == 0)
		return err_sys(err, STEP, "parent interface %s", endpoint->parent);
	if (ask_for_link(endpoint, netns, parent, socket) < 0)
		return err_sys(err, STEP, "make macvlan link %s on %s%s", link->container_interface, endpoint->parent,
			       endpoint->macvlan_mode == MACVLAN_MODE_PASSTHRU ? ", which in mode passthru has no other" : "");
	snprintf(interface.ifr_name, sizeof(interface.ifr_name), "%s", link->container_interface);
	if (ioctl(inside, SIOCGIFINDEX, &interface) < 0)
		return err_sys(err, STEP, "find %s", link->container_interface);
	if (endpoint->macvlan_mode == MACVLAN_MODE_PASSTHRU && set_passthru_address(link, interface.ifr_ifindex, inside) < 0) {
		err_sys(err, STEP, "set the hardware address of %s", link->container_interface);
		macvlan_delete(inside, (unsigned)interface.ifr_ifindex, &ignored);
		return -1;
	}
	return interface.ifr_ifindex;
}

int macvlan_delete(int inside, unsigned index, struct err *err)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index };
	struct nl_batch batch = { .length = 0 };

	nl_begin(&batch, RTM_DELLINK, 0, &info, sizeof(info));
	return nl_ask(inside, &batch, NULL) < 0 && errno != ENODEV ? err_sys(err, STEP, "remove a macvlan link") : 0;
}

int macvlan_is_there(int inside, unsigned index)
{
	struct ifreq interface = { .ifr_ifindex = (int)index };

	return ioctl(inside, SIOCGIFNAME, &interface) == 0;
}
