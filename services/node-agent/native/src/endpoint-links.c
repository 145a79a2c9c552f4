#include "endpoint-links.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "macvlan.h"
#include "network.h"

void links_init(struct endpoint_links *links)
{
	links->count = 0;
	links->inside = -1;
}

static void adopt(struct endpoint_links *links, const char *name, unsigned index, int within)
{
	snprintf(links->items[links->count].name, sizeof(links->items[0].name), "%s", name);
	links->items[links->count].index = index;
	links->items[links->count++].within = within;
}

void links_adopt(struct endpoint_links *links, const char *name, unsigned index)
{
	if (links->count < ENDPOINTS_MAX)
		adopt(links, name, index, 0);
}

int links_adopt_within(struct endpoint_links *links, const char *name, unsigned index, int inside, struct err *err)
{
	if (links->inside < 0)
		links->inside = fcntl(inside, F_DUPFD_CLOEXEC, 3);
	if (links->inside < 0)
		return err_sys(err, "network", "keep the container's namespace");
	adopt(links, name, index, 1);
	return 0;
}

int links_have(const struct endpoint_links *links, const char *name)
{
	char found[IF_NAMESIZE];

	for (size_t index = 0; index < links->count; index++)
		if (strcmp(links->items[index].name, name) == 0)
			return links->items[index].within ? macvlan_is_there(links->inside, links->items[index].index) :
							    if_indextoname(links->items[index].index, found) != NULL;
	return 0;
}

static int delete_at(struct endpoint_links *links, size_t at, struct err *err)
{
	int result = links->items[at].within ? macvlan_delete(links->inside, links->items[at].index, err) :
					       network_delete(links->items[at].name, err);

	if (result == 0)
		links->items[at] = links->items[--links->count];
	return result;
}

static void close_unused(struct endpoint_links *links)
{
	for (size_t index = 0; index < links->count; index++)
		if (links->items[index].within)
			return;
	if (links->inside >= 0)
		close(links->inside);
	links->inside = -1;
}

static int is_wanted(const struct endpoints_plan *plan, const char *name)
{
	for (size_t index = 0; index < plan->count; index++)
		if (strcmp(plan->items[index].link.host_interface, name) == 0)
			return 1;
	return 0;
}

int links_delete_others(struct endpoint_links *links, const struct endpoints_plan *plan, struct err *err)
{
	int result = 0;

	for (size_t index = 0; index < links->count && result == 0;) {
		const char *name = links->items[index].name;

		if (is_wanted(plan, name) && links_have(links, name))
			index++;
		else
			result = delete_at(links, index, err);
	}
	close_unused(links);
	return result;
}

void links_delete(struct endpoint_links *links)
{
	struct err ignored;

	links_release(links);
	while (links->count > 0)
		network_delete(links->items[--links->count].name, &ignored);
}

void links_release(struct endpoint_links *links)
{
	struct err ignored;

	for (size_t index = 0; index < links->count;) {
		if (!links->items[index].within) {
			index++;
			continue;
		}
		macvlan_delete(links->inside, links->items[index].index, &ignored);
		links->items[index] = links->items[--links->count];
	}
	close_unused(links);
}

void links_leave(const struct endpoint_links *links)
{
	for (size_t index = 0; index < links->count; index++)
		network_leave(links->items[index].index);
}
