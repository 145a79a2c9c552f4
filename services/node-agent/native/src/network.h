#ifndef ATOLL_NETWORK_H
#define ATOLL_NETWORK_H

#include "err.h"
#include "netlink.h"
#include "plan.h"

/*
 * Sets up the network namespace `netns` from the host: loopback up, IPv6 off for every other interface, no router
 * advertisements taken. With a network also a veth pair between it and the bridge, address, route and both ends up.
 * `network` may be NULL. `link` gets the index of the pair's outer end.
 */
int network_build(const struct network_plan *network, int netns, unsigned *link, struct err *err);

/*
 * Sees that a link made by network_build goes after the end of its container. The kernel removes it with the
 * namespace, many at once when many end; only a namespace that others still have is waited for no longer than a second.
 */
void network_leave(unsigned link);

/* A veth pair between the bridge and `netns`, its outer end (`index`) up; addresses of the plan are not used. */
int network_connect_bridge(const struct network_plan *network, int netns, unsigned *index, struct err *err);

/* The broadcast address of an IPv4 address that is being given. */
void network_put_broadcast(struct nl_batch *batch, const uint8_t *address, int prefix);

/* Removes a link; one that is gone already is fine. */
int network_delete(const char *interface, struct err *err);

#endif
