#ifndef ATOLL_ENDPOINT_LINKS_H
#define ATOLL_ENDPOINT_LINKS_H

#include "err.h"
#include "plan.h"

/* Networks of users, and the default bridge. */
enum { ENDPOINTS_MAX = 64 + 1 };

/*
 * Links of a container's endpoints: outer name and index of each. One that is `within` the container as a whole (macvlan) has its index there;
 * while there are such links `inside` is rtnetlink of the container's namespace, which it keeps, and otherwise -1.
 */
struct endpoint_links {
	struct { char name[16]; unsigned index; int within; } items[ENDPOINTS_MAX];
	size_t count;
	int inside;
};

void links_init(struct endpoint_links *links);

/* Counts a link among them that has been made: a plan that does not name it removes it. */
void links_adopt(struct endpoint_links *links, const char *name, unsigned index);

/* The same for one within the container; `inside` is copied. */
int links_adopt_within(struct endpoint_links *links, const char *name, unsigned index, int inside, struct err *err);

/* One that somebody else removed is not there. */
int links_have(const struct endpoint_links *links, const char *name);

/* Removes the links the plan does not name, or that are not there any more. */
int links_delete_others(struct endpoint_links *links, const struct endpoints_plan *plan, struct err *err);

/* Removes all links at once; those that are gone are fine. */
void links_delete(struct endpoint_links *links);

/*
 * At the end of a container: links within it go at once. Others that have its namespace would keep them, and with them the hardware
 * addresses its next run needs. Nothing here keeps the namespace any more.
 */
void links_release(struct endpoint_links *links);

/* Sees that all other links go after the end of their container; as network_leave. */
void links_leave(const struct endpoint_links *links);

#endif
