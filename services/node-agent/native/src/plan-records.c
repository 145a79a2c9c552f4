#include "plan-records.h"

#include <string.h>
#include <sys/un.h>

#include "apparmor.h"
#include "plan-endpoints.h"
#include "selinux.h"

static int once(const char **slot, struct cursor *record, struct err *err)
{
	if (*slot)
		return plan_bad(err, "a record that may come once came twice");
	*slot = cursor_text(record);
	return 0;
}

static int append(struct text_list *list, struct cursor *record, struct err *err)
{
	return plan_append(list, cursor_text(record), err);
}

static int label(const char **slot, struct cursor *record, struct err *err)
{
	if (once(slot, record, err) < 0)
		return -1;
	return selinux_is_label(*slot) ? 0 : plan_bad(err, "a malformed SELinux label");
}

static int process_record(struct process_plan *process, unsigned tag, struct cursor *record, struct err *err)
{
	switch (tag) {
	case TAG_ARG:
		return append(&process->argv, record, err);
	case TAG_ENV:
		return append(&process->env, record, err);
	case TAG_CWD:
		return once(&process->cwd, record, err);
	case TAG_USER:
		return once(&process->user, record, err);
	case TAG_IDS:
		process->uid = (uint32_t)cursor_number(record, 4);
		process->gid = (uint32_t)cursor_number(record, 4);
		if (process->uid > INT32_MAX || process->gid > INT32_MAX)
			return plan_bad(err, "a user or group number beyond 2147483647");
		return 0;
	case TAG_GROUP: {
		uint32_t *group = plan_grow((void **)&process->groups, &process->group_count, sizeof(uint32_t), err);

		if (!group)
			return -1;
		*group = (uint32_t)cursor_number(record, 4);
		return *group > INT32_MAX ? plan_bad(err, "a group number beyond 2147483647") : 0;
	}
	case TAG_GROUP_NAME:
		return append(&process->group_names, record, err);
	case TAG_TTY:
		process->tty = 1;
		process->rows = (uint16_t)cursor_number(record, 2);
		process->cols = (uint16_t)cursor_number(record, 2);
		return 0;
	case TAG_STDIN:
		process->stdin_mode = (enum stdin_mode)cursor_number(record, 1);
		return process->stdin_mode > STDIN_ONCE ? plan_bad(err, "unknown stdin mode") : 0;
	case TAG_RLIMIT: {
		struct rlimit_plan *limit =
			plan_grow((void **)&process->rlimits, &process->rlimit_count, sizeof(*limit), err);

		if (!limit)
			return -1;
		limit->resource = (uint32_t)cursor_number(record, 4);
		limit->soft = cursor_number(record, 8);
		limit->hard = cursor_number(record, 8);
		return limit->resource > 15 ? plan_bad(err, "unknown resource limit") : 0;
	}
	case TAG_CAPS:
		process->cap_bounding = cursor_number(record, 8);
		process->cap_permitted = cursor_number(record, 8);
		process->cap_effective = cursor_number(record, 8);
		process->cap_inheritable = cursor_number(record, 8);
		process->cap_ambient = cursor_number(record, 8);
		return 0;
	case TAG_NO_NEW_PRIVS:
		process->no_new_privs = cursor_number(record, 1) != 0;
		return 0;
	case TAG_SECCOMP: {
		size_t size = (size_t)(record->end - record->at);

		if (size == 0 || size % 8 != 0 || size > PLAN_MAX_SECCOMP)
			return plan_bad(err, "a seccomp program of a wrong length");
		process->seccomp = cursor_bytes(record, size);
		process->seccomp_length = (uint32_t)size;
		return 0;
	}
	case TAG_APPARMOR:
		return once(&process->apparmor, record, err) < 0 ? -1 : apparmor_is_name(process->apparmor) ? 0 : plan_bad(err, "a malformed name of an AppArmor profile");
	case TAG_SELINUX:
		return label(&process->selinux, record, err);
	case TAG_OOM_SCORE_ADJ:
		process->has_oom_score_adj = 1;
		process->oom_score_adj = (int32_t)cursor_number(record, 4);
		return 0;
	case TAG_UMASK:
		process->umask = (uint32_t)cursor_number(record, 4) & 0777;
		return 0;
	default:
		return err_set(err, 22, "read the plan", "malformed plan: unknown tag %u", tag);
	}
}

int limit_record(struct limits_plan *limits, unsigned tag, struct cursor *record, struct err *err)
{
	if (tag == TAG_RUNTIME_RESOURCES)
		return once(&limits->runtime_resources, record, err);
	unsigned kind = (unsigned)cursor_number(record, 1);

	switch (tag) {
	case TAG_LIMIT:
		if (kind == 0 || kind >= LIMIT_KINDS)
			return plan_bad(err, "unknown limit");
		limits->set |= 1u << kind;
		limits->numbers[kind] = (int64_t)cursor_number(record, 8);
		return 0;
	case TAG_LIMIT_TEXT:
		if (kind == 0 || kind >= LIMIT_TEXT_KINDS)
			return plan_bad(err, "unknown text limit");
		limits->texts[kind] = cursor_text(record);
		return 0;
	case TAG_BLKIO: {
		struct blkio_plan *throttle =
			plan_grow((void **)&limits->blkio, &limits->blkio_count, sizeof(*throttle), err);

		if (!throttle)
			return -1;
		throttle->kind = (enum blkio_kind)kind;
		throttle->major = (uint32_t)cursor_number(record, 4);
		throttle->minor = (uint32_t)cursor_number(record, 4);
		throttle->rate = cursor_number(record, 8);
		if (kind == BLKIO_WEIGHT && (throttle->rate < 10 || throttle->rate > 1000))
			return plan_bad(err, "a device weight beyond 10 to 1000");
		return kind == 0 || kind >= BLKIO_KINDS ? plan_bad(err, "unknown limit of a device") : 0;
	}
	default:
		return plan_bad(err, "not a limit record");
	}
}

static int pair_record(struct pair_plan **pairs, size_t *count, struct cursor *record, struct err *err)
{
	struct pair_plan *pair = plan_grow((void **)pairs, count, sizeof(*pair), err);

	if (!pair)
		return -1;
	pair->key = cursor_text(record);
	pair->value = cursor_text(record);
	return 0;
}

static int device_record(struct plan *plan, struct cursor *record, struct err *err)
{
	struct device_plan *device = plan_grow((void **)&plan->devices, &plan->device_count, sizeof(*device), err);

	if (!device)
		return -1;
	device->path = cursor_text(record);
	device->type = (char)cursor_number(record, 1);
	device->major = (uint32_t)cursor_number(record, 4);
	device->minor = (uint32_t)cursor_number(record, 4);
	device->mode = (uint32_t)cursor_number(record, 4) & 0777;
	device->uid = (uint32_t)cursor_number(record, 4);
	device->gid = (uint32_t)cursor_number(record, 4);
	return device->type == 'c' || device->type == 'b' ? 0 : plan_bad(err, "unknown device type");
}

static int rule_record(struct plan *plan, struct cursor *record, struct err *err)
{
	struct device_rule *rule =
		plan_grow((void **)&plan->device_rules, &plan->device_rule_count, sizeof(*rule), err);

	if (!rule)
		return -1;
	rule->allow = cursor_number(record, 1) != 0;
	rule->type = (char)cursor_number(record, 1);
	rule->major = (int32_t)cursor_number(record, 4);
	rule->minor = (int32_t)cursor_number(record, 4);
	rule->access = (uint8_t)cursor_number(record, 1) & 7;
	return rule->type != 0 && strchr("abc", rule->type) ? 0 : plan_bad(err, "unknown device rule type");
}

static int namespace_record(struct plan *plan, struct cursor *record, struct err *err)
{
	unsigned kind = (unsigned)cursor_number(record, 1);
	unsigned mode = (unsigned)cursor_number(record, 1);

	if (kind == 0 || kind >= NS_KINDS || mode > NS_PATH)
		return plan_bad(err, "unknown namespace kind or mode");
	struct ns_plan *namespace = &plan->namespaces[kind];
	namespace->mode = (enum ns_mode)mode;
	namespace->process.pid = (int32_t)cursor_number(record, 4);
	namespace->process.ticks = cursor_number(record, 8);
	namespace->path = cursor_text(record);
	return 0;
}

static int network_record(struct plan *plan, struct cursor *record, struct err *err)
{
	struct network_plan *network = &plan->network;
	const uint8_t *bytes;

	plan->has_network = 1;
	network->bridge = cursor_text(record);
	network->host_interface = cursor_text(record);
	network->container_interface = cursor_text(record);
	if ((bytes = cursor_bytes(record, 4)))
		memcpy(network->address, bytes, 4);
	network->prefix = (uint8_t)cursor_number(record, 1);
	if ((bytes = cursor_bytes(record, 4)))
		memcpy(network->gateway, bytes, 4);
	if ((bytes = cursor_bytes(record, 6)))
		memcpy(network->mac, bytes, 6);
	network->mtu = (uint32_t)cursor_number(record, 4);
	size_t host = strlen(network->host_interface), inside = strlen(network->container_interface);
	if (host == 0 || host > 15 || inside == 0 || inside > 15 || strlen(network->bridge) > 15 ||
	    network->prefix > 32)
		return plan_bad(err, "an interface name or prefix out of range");
	return 0;
}

int plan_record(struct plan *plan, unsigned tag, struct cursor *record, struct err *err)
{
	switch (tag) {
	case TAG_ID:
		return once(&plan->id, record, err);
	case TAG_NAMESPACE:
		return namespace_record(plan, record, err);
	case TAG_ID_MAP:
		plan->ids.uid = (uint32_t)cursor_number(record, 4);
		plan->ids.gid = (uint32_t)cursor_number(record, 4);
		plan->ids.size = (uint32_t)cursor_number(record, 4);
		return 0;
	case TAG_HOSTNAME:
		return once(&plan->hostname, record, err);
	case TAG_DOMAINNAME:
		return once(&plan->domainname, record, err);
	case TAG_LOWER:
		return append(&plan->lowers, record, err);
	case TAG_UPPER:
		return once(&plan->upper, record, err);
	case TAG_WORK:
		return once(&plan->work, record, err);
	case TAG_ROOT_DIRECTORY:
		return once(&plan->root_directory, record, err);
	case TAG_STORAGE_LIMIT:
		plan->storage_limit = cursor_number(record, 8);
		return plan->storage_limit > 0 && plan->storage_limit <= INT64_MAX ? 0 : plan_bad(err, "a limit of storage out of range");
	case TAG_ROOT_READONLY:
		plan->root_readonly = cursor_number(record, 1) != 0;
		return 0;
	case TAG_MOUNT_LABEL:
		return label(&plan->mount_label, record, err);
	case TAG_LAYER_LABEL:
		return label(&plan->layer_label, record, err);
	case TAG_MOUNT:
		return plan_mount(plan, record, err);
	case TAG_MOUNT_LOWER:
	case TAG_MOUNT_SUBPATH:
	case TAG_MOUNT_IDMAPPED:
	case TAG_MOUNT_RELABEL:
		return plan_mount_detail(plan, tag, record, err);
	case TAG_DEVICE:
		return device_record(plan, record, err);
	case TAG_LINK:
		return pair_record(&plan->links, &plan->link_count, record, err);
	case TAG_MASK:
		return append(&plan->masks, record, err);
	case TAG_READONLY_PATH:
		return append(&plan->readonly_paths, record, err);
	case TAG_SYSCTL:
		return pair_record(&plan->sysctls, &plan->sysctl_count, record, err);
	case TAG_CGROUP:
		return once(&plan->cgroup, record, err);
	case TAG_LIMIT:
	case TAG_LIMIT_TEXT:
	case TAG_BLKIO:
		return limit_record(&plan->limits, tag, record, err);
	case TAG_DEVICE_RULE:
		return rule_record(plan, record, err);
	case TAG_NETWORK:
		return network_record(plan, record, err);
	case TAG_ENDPOINT:
	case TAG_MACVLAN:
	case TAG_GATEWAY:
	case TAG_ENDPOINT_SYSCTL:
	case TAG_DNS:
	case TAG_BINDING:
		return endpoint_record(&plan->endpoints, tag, record, err);
	case TAG_API:
		return once(&plan->api, record, err) < 0 ? -1 : strlen(plan->api) < sizeof(((struct sockaddr_un *)0)->sun_path) ? 0 : plan_bad(err, "the path of the agent's socket is too long");
	case TAG_LOG:
		plan->log_max_bytes = cursor_number(record, 8);
		plan->log_max_files = (uint32_t)cursor_number(record, 4);
		return once(&plan->log_directory, record, err);
	case TAG_RUNTIME:
		return once(&plan->runtime, record, err);
	case TAG_RUNTIME_EXEC:
		plan->runtime_bundle = cursor_text(record);
		plan->runtime_container = cursor_text(record);
		plan->runtime_process = cursor_text(record);
		return 0;
	case TAG_TARGET:
		plan->has_target = 1;
		plan->target.pid = (int32_t)cursor_number(record, 4);
		plan->target.ticks = cursor_number(record, 8);
		return 0;
	default:
		return process_record(&plan->process, tag, record, err);
	}
}
