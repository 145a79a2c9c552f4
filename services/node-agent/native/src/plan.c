#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "plan-endpoints.h"
#include "plan-records.h"

static const char STEP[] = "read the plan";

int plan_bad(struct err *err, const char *what)
{
	return err_set(err, EINVAL, STEP, "malformed plan: %s", what);
}

void *plan_grow(void **items, size_t *count, size_t size, struct err *err)
{
	if (*count >= PLAN_MAX_ITEMS) {
		plan_bad(err, "too many records of one kind");
		return NULL;
	}
	/* Room doubles at powers of two, so a list of n costs log n allocations. */
	if ((*count & (*count - 1)) == 0) {
		void *grown = realloc(*items, (*count ? *count * 2 : 1) * size);

		if (!grown) {
			err_set(err, ENOMEM, STEP, "out of memory");
			return NULL;
		}
		*items = grown;
	}
	char *item = (char *)*items + *count * size;
	memset(item, 0, size);
	*count += 1;
	return item;
}

int plan_append(struct text_list *list, const char *text, struct err *err)
{
	if (list->count >= PLAN_MAX_ITEMS)
		return plan_bad(err, "too many texts of one kind");
	if (list->count + 2 > list->room) {
		size_t room = list->room ? list->room * 2 : 16;
		const char **grown = realloc(list->items, room * sizeof(*grown));

		if (!grown)
			return err_set(err, ENOMEM, STEP, "out of memory");
		list->items = grown;
		list->room = room;
	}
	list->items[list->count++] = text;
	list->items[list->count] = NULL;
	return 0;
}

/*
 * What a namespace's processes may do with pids, the network and the rest depends on which user namespace those belong to: they are
 * made after it, or belong to one that is joined with them.
 */
static int check_user_namespace(const struct plan *plan, struct err *err)
{
	const struct ns_plan *kinds = plan->namespaces;
	const struct id_map *ids = &plan->ids;

	if (kinds[NS_USER].mode == NS_HOST)
		return ids->size == 0 ? 0 : plan_bad(err, "ids without a user namespace");
	if (kinds[NS_USER].mode == NS_PATH || plan->runtime)
		return plan_bad(err, "a user namespace by path or for another runtime");
	if (ids->size == 0 || ids->size > INT32_MAX || ids->uid > INT32_MAX - ids->size || ids->gid > INT32_MAX - ids->size)
		return plan_bad(err, "a user namespace without ids, or with ids beyond 2147483647");
	if (kinds[NS_PID].mode == NS_HOST || kinds[NS_NET].mode == NS_HOST)
		return plan_bad(err, "a user namespace with the host's processes or network");
	for (int kind = NS_PID; kind < NS_USER; kind++)
		if (kinds[kind].mode == NS_PATH || (kinds[kind].mode == NS_JOIN && kinds[NS_USER].mode != NS_JOIN))
			return plan_bad(err, "a joined namespace without its user namespace");
	return 0;
}

static int check_container(const struct plan *plan, struct err *err)
{
	if (check_user_namespace(plan, err) < 0)
		return -1;
	if (plan->has_target || plan->runtime_bundle)
		return plan_bad(err, "a target record in a container plan");
	if (plan->lowers.count > PLAN_MAX_LOWERS)
		return plan_bad(err, "more than 128 layers");
	for (size_t index = 0; index < plan->mount_count; index++)
		if (plan->mounts[index].kind == MOUNT_IMAGE &&
		    (plan->mounts[index].lowers.count == 0 || plan->mounts[index].lowers.count > PLAN_MAX_LOWERS))
			return plan_bad(err, "a mount of an image needs 1 to 128 layers");
		else if (plan->mounts[index].kind == MOUNT_SHM && plan->namespaces[NS_IPC].mode != NS_JOIN)
			return plan_bad(err, "shared memory of another container without its ipc namespace");
	if (plan->root_directory ? plan->lowers.count > 0 : plan->lowers.count == 0 || !plan->upper || !plan->work)
		return plan_bad(err, "needs either a root folder or lower, upper and work folders");
	if (plan->storage_limit && plan->root_directory)
		return plan_bad(err, "a limit of storage without an upper folder");
	if (!plan->log_directory || plan->log_max_bytes < 4096 || plan->log_max_files == 0)
		return plan_bad(err, "no usable log record");
	if ((plan->has_network || plan->endpoints.count || plan->endpoints.dns) && plan->namespaces[NS_NET].mode != NS_PRIVATE)
		return plan_bad(err, "a network record without a private network namespace");
	if ((plan->hostname || plan->domainname) && plan->namespaces[NS_UTS].mode != NS_PRIVATE)
		return plan_bad(err, "a host name without a private uts namespace");
	return 0;
}

static int check_exec(const struct plan *plan, struct err *err)
{
	if (!plan->has_target)
		return plan_bad(err, "no target");
	if (!plan->runtime != !plan->runtime_bundle)
		return plan_bad(err, "an exec of another runtime needs the runtime and its bundle");
	if (plan->mount_count || plan->device_count || plan->link_count || plan->masks.count ||
	    plan->readonly_paths.count || plan->sysctl_count || plan->has_network || plan->endpoints.count ||
	    plan->endpoints.gateway_count || plan->endpoints.sysctl_count || plan->endpoints.dns || plan->endpoints.binding || plan->api || plan->lowers.count ||
	    plan->root_directory || plan->log_directory || plan->ids.size || plan->storage_limit || plan->device_rule_count || plan->limits.set)
		return plan_bad(err, "container records in an exec plan");
	return 0;
}

static int check(const struct plan *plan, int is_exec, struct err *err)
{
	if (!plan->id)
		return plan_bad(err, "no id");
	if (plan->process.argv.count == 0)
		return plan_bad(err, "no argv");
	if (!plan->process.cwd || plan->process.cwd[0] != '/')
		return plan_bad(err, "the working directory is not absolute");
	if (!plan->cgroup || plan->cgroup[0] != '/' || plan->cgroup[1] == '\0' || strstr(plan->cgroup, "/../") ||
	    strstr(plan->cgroup, "//"))
		return plan_bad(err, "the cgroup path is not a plain absolute path");
	if (plan->runtime && plan->runtime[0] != '/')
		return plan_bad(err, "the path of the runtime is not absolute");
	return is_exec ? check_exec(plan, err) : check_container(plan, err);
}

int plan_parse(const uint8_t *bytes, size_t length, int is_exec, struct plan *plan, struct err *err)
{
	struct cursor all = { bytes, bytes + length, 0 };

	memset(plan, 0, sizeof(*plan));
	if (length > PLAN_MAX_BYTES)
		return plan_bad(err, "longer than 4 MiB");
	if (cursor_number(&all, 4) != PLAN_MAGIC || cursor_number(&all, 4) != PLAN_VERSION)
		return plan_bad(err, "magic or version differs from this shim's");
	if (cursor_number(&all, 4) != length || all.bad)
		return plan_bad(err, "the length in the header is not the length of the plan");
	plan->process.umask = 022;
	while (all.at < all.end) {
		unsigned tag = (unsigned)cursor_number(&all, 2);
		size_t size = (size_t)cursor_number(&all, 4);
		const uint8_t *payload = cursor_bytes(&all, size);

		if (!payload)
			return plan_bad(err, "a record reaches past the end");
		struct cursor record = { payload, payload + size, 0 };
		if (plan_record(plan, tag, &record, err) < 0)
			return -1;
		if (record.bad || record.at != record.end)
			return err_set(err, EINVAL, STEP, "malformed plan: record with tag %u has a wrong form", tag);
	}
	return check(plan, is_exec, err);
}

int limits_parse(const uint8_t *bytes, size_t length, struct limits_plan *limits, struct err *err)
{
	struct cursor all = { bytes, bytes + length, 0 };

	memset(limits, 0, sizeof(*limits));
	while (all.at < all.end) {
		unsigned tag = (unsigned)cursor_number(&all, 2);
		size_t size = (size_t)cursor_number(&all, 4);
		const uint8_t *payload = cursor_bytes(&all, size);

		if (!payload)
			return plan_bad(err, "a record reaches past the end");
		struct cursor record = { payload, payload + size, 0 };
		if (limit_record(limits, tag, &record, err) < 0)
			return -1;
		if (record.bad || record.at != record.end)
			return err_set(err, EINVAL, STEP, "malformed limits: record with tag %u has a wrong form", tag);
	}
	return 0;
}

void limits_free(struct limits_plan *limits)
{
	free(limits->blkio);
	limits->blkio = NULL;
}

void plan_free(struct plan *plan)
{
	struct text_list *lists[] = {
		&plan->process.argv, &plan->process.env, &plan->process.group_names,
		&plan->lowers, &plan->masks, &plan->readonly_paths,
	};

	for (size_t index = 0; index < sizeof(lists) / sizeof(*lists); index++)
		free(lists[index]->items);
	for (size_t index = 0; index < plan->mount_count; index++)
		free(plan->mounts[index].lowers.items);
	free(plan->process.groups);
	free(plan->process.rlimits);
	free(plan->mounts);
	free(plan->devices);
	free(plan->links);
	free(plan->sysctls);
	free(plan->device_rules);
	limits_free(&plan->limits);
	endpoints_free(&plan->endpoints);
	memset(plan, 0, sizeof(*plan));
}
