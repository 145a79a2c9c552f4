#ifndef ATOLL_ADDRESS_BINDING_H
#define ATOLL_ADDRESS_BINDING_H

#include "err.h"
#include "plan.h"

/*
 * Lets a link that is about to be made speak with its own addresses: elements of the sets `ipv4` and `ipv6` of a bridge table, which the agent
 * has written and takes stale ones from. Without such a table nothing is done: the agent writes one with all links in it, or cannot.
 */
int binding_admit(const char *table, const struct endpoint_plan *endpoint, struct err *err);

#endif
