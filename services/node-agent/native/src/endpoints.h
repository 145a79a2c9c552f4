#ifndef ATOLL_ENDPOINTS_H
#define ATOLL_ENDPOINTS_H

#include "endpoint-links.h"
#include "err.h"
#include "plan.h"

/*
 * Brings a container's endpoints to what the plan says: removes the links it does not name, makes those that are not there, sets
 * the default routes. `netns` is the container's network namespace; loopback is up. What was made before a failure is in `links`.
 */
int endpoints_apply(const struct endpoints_plan *plan, int netns, struct endpoint_links *links, struct err *err);

#endif
