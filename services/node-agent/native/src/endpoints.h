#ifndef ATOLL_ENDPOINTS_H
#define ATOLL_ENDPOINTS_H

#include "err.h"
#include "plan.h"

/* Networks of users, and the default bridge. */
enum { ENDPOINTS_MAX = 64 + 1 };

/* Links of a container's endpoints: outer name and index of each. */
struct endpoint_links {
	struct { char name[16]; unsigned index; } items[ENDPOINTS_MAX];
	size_t count;
};

/*
 * Brings a container's endpoints to what the plan says: removes the links it does not name, makes those that are not there, sets
 * the default routes. `netns` is the container's network namespace; loopback is up. What was made before a failure is in `links`.
 */
int endpoints_apply(const struct endpoints_plan *plan, int netns, struct endpoint_links *links, struct err *err);

/* Counts the default bridge's link that the plan made among them: a CONNECT that does not name it removes it. */
void endpoints_adopt(struct endpoint_links *links, const char *host_interface, unsigned index);

/* Removes all links at once; those that are gone are fine. */
void endpoints_delete(struct endpoint_links *links);

/* Sees that all links go after the end of their container; as network_leave. */
void endpoints_leave(const struct endpoint_links *links);

#endif
