/* Lists of services, and the rules that are made of them: what was parsed fits into the room that is counted for it. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "nft.h"
#include "service-rules.h"

static size_t put_address(size_t length, size_t size)
{
	for (size_t byte = 0; byte < size; byte++)
		length = put(input, length, next_random() % 4, 1);
	return length;
}

static size_t make_list(void)
{
	unsigned services = next_random() % 6;
	size_t length = put(input, 0, services, 2);

	for (unsigned service = 0; service < services; service++) {
		unsigned version = next_random() % 2 ? 4 : 6, backends = next_random() % 66;
		size_t size = version == 4 ? 4 : 16;

		length = put_address(put(input, length, version, 1), size);
		length = put(input, length, backends, 1);
		for (unsigned backend = 0; backend < backends; backend++)
			length = put_address(length, size);
	}
	return length;
}

static void build(const struct service_list *list)
{
	struct nl_batch batch = { .room = 1024 };

	for (size_t index = 0; index < list->count; index++)
		batch.room += list->services[index].count * SERVICE_RULE_BYTES;
	batch.larger = malloc(batch.room);
	nft_open_batch(&batch);
	service_rules_put(&batch, list);
	nft_close_batch(&batch);
	if (batch.overflow)
		abort();
	free(batch.larger);
}

static void services_round(void)
{
	struct service_list list;
	size_t length = mutate(make_list());
	uint8_t *bytes = exact(input, length);

	if (service_list_parse(&list, bytes, length) == 0) {
		fuzz_services.whole++;
		build(&list);
		for (size_t index = 0; index < list.count; index++) {
			const struct service *service = &list.services[index];

			if (!service_list_find(&list, service->address, service->address_length))
				abort();
			if (service->count > 0 && !service_has_backend(service, service->backends + (service->count - 1) * service->address_length))
				abort();
		}
	}
	free(bytes);
}

struct target fuzz_services = { "services", services_round, 0 };
