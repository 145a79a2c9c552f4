#ifndef ATOLL_NETWORK_H
#define ATOLL_NETWORK_H

#include "err.h"
#include "plan.h"

/* On the host: makes the veth pair with its inner end in the network namespace `netns`, joins the bridge, brings it up. */
int network_connect(const struct network_plan *network, int netns, struct err *err);

/*
 * In the container's network namespace: loopback up; IPv6 off and no router advertisements taken.
 * With a network also address, route and interface up. `proc` is a private procfs.
 */
int network_inside(const struct network_plan *network, int proc, struct err *err);

/* Removes a link; one that is gone already is fine. */
int network_delete(const char *interface, struct err *err);

#endif
