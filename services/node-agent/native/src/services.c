#include "services.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "flows.h"
#include "io.h"

void services_init(struct services *services)
{
	*services = (struct services){ .rules = { .owner = -1 } };
}

void services_close(struct services *services)
{
	service_rules_close(&services->rules);
	free(services->told);
	services_init(services);
}

int services_exist(const struct services *services)
{
	return services->told != NULL;
}

/* The lists before and after a change. */
struct change { struct service_list before, after; };

/* UDP has no end: what a program goes on sending from one port would go to a container that has left, or to none. */
static int has_lost_backend(const struct flow *flow, const void *context)
{
	const struct change *change = context;
	const struct service *now = service_list_find(&change->after, flow->destination, flow->address_length);

	if (flow->protocol != IPPROTO_UDP)
		return 0;
	if (now)
		return !service_has_backend(now, flow->answerer);
	return service_list_find(&change->before, flow->destination, flow->address_length) != NULL;
}

/* Flows may have to end. */
static int takes_away(const struct change *change)
{
	for (size_t index = 0; index < change->before.count; index++) {
		const struct service *was = &change->before.services[index];
		const struct service *now = service_list_find(&change->after, was->address, was->address_length);

		/* Without a backend nothing was translated, and the kernel remembers that as well. */
		if (!now || was->count == 0)
			return 1;
		for (size_t at = 0; at < was->count; at++)
			if (!service_has_backend(now, was->backends + at * was->address_length))
				return 1;
	}
	return 0;
}

static int apply(struct services *services, const struct change *change)
{
	struct err ignored;

	if (service_rules_apply(&services->rules, &change->after) < 0)
		return errno;
	/* A kernel that cannot list flows ends them after 30 s without a datagram. */
	if (takes_away(change) && flows_exist())
		flows_forget(has_lost_backend, change, &ignored);
	return 0;
}

static int apply_inside(struct services *services, int inside, const struct change *change)
{
	CLEANUP_CLOSE int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	CLEANUP_CLOSE int there = ioctl(inside, SIOCGSKNS);

	if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		return errno;
	int result = apply(services, change);
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	return result;
}

int services_take(struct services *services, int inside, const uint8_t *bytes, size_t length)
{
	struct change change = { .before = { .count = 0 } };
	uint8_t *told = NULL;

	if (service_list_parse(&change.after, bytes, length) < 0)
		return EINVAL;
	if (services->told && service_list_parse(&change.before, services->told, services->length) < 0)
		return EINVAL;
	if (change.after.count == 0 && !services->told)
		return 0;
	if (change.after.count > 0 && !(told = malloc(length)))
		return ENOMEM;
	int result = apply_inside(services, inside, &change);
	if (result != 0) {
		free(told);
		return result;
	}
	if (told)
		memcpy(told, bytes, length);
	free(services->told);
	services->told = told;
	services->length = length;
	return 0;
}
