#ifndef ATOLL_SERVICE_LIST_H
#define ATOLL_SERVICE_LIST_H

#include <stddef.h>
#include <stdint.h>

/* Of one container. The agent leaves out what is more, and has such names resolve to the containers themselves. */
enum { SERVICE_ADDRESSES = 64, SERVICE_BACKENDS = 64, SERVICE_BACKENDS_IN_ALL = 2048 };

/* An address of a service, and those of the containers that serve it, one after the other. All point into what was parsed. */
struct service {
	size_t address_length; /* 4 or 16 */
	const uint8_t *address;
	size_t count; /* of backends */
	const uint8_t *backends;
};

struct service_list {
	size_t count;
	struct service services[SERVICE_ADDRESSES];
};

/* Reads u16 services, each u8 4 or 6, its address, u8 backends, their addresses. -1 for what is malformed or too much. */
int service_list_parse(struct service_list *list, const uint8_t *bytes, size_t length);

/* The service that has this address, or NULL; and whether an address is one of its backends. */
const struct service *service_list_find(const struct service_list *list, const uint8_t *address, size_t length);
int service_has_backend(const struct service *service, const uint8_t *address);

#endif
