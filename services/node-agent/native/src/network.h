#ifndef ATOLL_NETWORK_H
#define ATOLL_NETWORK_H

#include "err.h"
#include "plan.h"

/*
 * Sets up the network namespace `netns` from the host: loopback up, IPv6 off for every other interface, no router
 * advertisements taken. With a network also a veth pair between it and the bridge, address, route and both ends up.
 * `network` may be NULL.
 */
int network_build(const struct network_plan *network, int netns, struct err *err);

/* Removes a link; one that is gone already is fine. */
int network_delete(const char *interface, struct err *err);

#endif
