#include "service-list.h"

#include <string.h>

#include "cursor.h"

static int parse_service(struct service *service, struct cursor *cursor, size_t *backends)
{
	uint64_t version = cursor_number(cursor, 1);

	if (version != 4 && version != 6)
		return -1;
	service->address_length = version == 4 ? 4 : 16;
	service->address = cursor_bytes(cursor, service->address_length);
	service->count = (size_t)cursor_number(cursor, 1);
	*backends += service->count;
	if (service->count > SERVICE_BACKENDS || *backends > SERVICE_BACKENDS_IN_ALL)
		return -1;
	service->backends = cursor_bytes(cursor, service->count * service->address_length);
	return cursor->bad ? -1 : 0;
}

int service_list_parse(struct service_list *list, const uint8_t *bytes, size_t length)
{
	struct cursor cursor = { bytes, bytes + length, 0 };
	size_t count = (size_t)cursor_number(&cursor, 2), backends = 0;

	list->count = 0;
	if (cursor.bad || count > SERVICE_ADDRESSES)
		return -1;
	for (size_t index = 0; index < count; index++)
		if (parse_service(&list->services[index], &cursor, &backends) < 0)
			return -1;
	if (cursor.at != cursor.end)
		return -1;
	list->count = count;
	return 0;
}

const struct service *service_list_find(const struct service_list *list, const uint8_t *address, size_t length)
{
	for (size_t index = 0; index < list->count; index++)
		if (list->services[index].address_length == length && memcmp(list->services[index].address, address, length) == 0)
			return &list->services[index];
	return NULL;
}

int service_has_backend(const struct service *service, const uint8_t *address)
{
	for (size_t index = 0; index < service->count; index++)
		if (memcmp(service->backends + index * service->address_length, address, service->address_length) == 0)
			return 1;
	return 0;
}
