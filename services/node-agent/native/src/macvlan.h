#ifndef ATOLL_MACVLAN_H
#define ATOLL_MACVLAN_H

#include "err.h"
#include "plan.h"

/*
 * Makes the macvlan link of an endpoint with a parent in the container's namespace `netns`; its index there, or -1. Its addresses are not
 * set, and it is not up. Nothing of it is on the host. `inside` is rtnetlink of that namespace.
 */
int macvlan_make(const struct endpoint_plan *endpoint, int netns, int inside, struct err *err);

/* By its index; one that is gone already is fine. */
int macvlan_delete(int inside, unsigned index, struct err *err);

int macvlan_is_there(int inside, unsigned index);

#endif
