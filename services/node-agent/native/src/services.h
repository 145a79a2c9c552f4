#ifndef ATOLL_SERVICES_H
#define ATOLL_SERVICES_H

#include "service-rules.h"

/* The services a container finds in its networks, as its agent has last told. */
struct services {
	struct service_rules rules;
	uint8_t *told; /* the list, as it came */
	size_t length;
};

void services_init(struct services *services);
void services_close(struct services *services);
/* There are some: their changes have to be heard. */
int services_exist(const struct services *services);
/*
 * Takes over the whole list (see service-list.h). `inside` is a socket of the container's network namespace. 0, or an errno: EINVAL for a
 * malformed list, else what the kernel lacks; what was there before stays.
 */
int services_take(struct services *services, int inside, const uint8_t *bytes, size_t length);

#endif
