#ifndef ATOLL_ANNOUNCE_H
#define ATOLL_ANNOUNCE_H

#include "plan.h"

/*
 * Tells a segment once which hardware address the addresses of an endpoint have now, by ARP and by neighbour advertisements: switches learn
 * where it is, and neighbours forget what had these addresses before. The link is up and has them. That it may be heard by nobody is no failure.
 */
void announce_addresses(const struct endpoint_plan *endpoint, int netns, unsigned index);

#endif
