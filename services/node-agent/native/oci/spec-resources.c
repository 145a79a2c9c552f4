#include <string.h>

#include "oci.h"
#include "plan-records.h"

/* A rule for each device that containers always have, after the config's own: null zero full random urandom tty console ptmx pts. */
static const struct device_rule ALWAYS[] = {
	{ 1, 'c', -1, -1, 4 }, { 1, 'b', -1, -1, 4 }, { 1, 'c', 1, 3, 7 }, { 1, 'c', 1, 5, 7 }, { 1, 'c', 1, 7, 7 }, { 1, 'c', 1, 8, 7 },
	{ 1, 'c', 1, 9, 7 }, { 1, 'c', 5, 0, 7 }, { 1, 'c', 5, 1, 7 }, { 1, 'c', 5, 2, 7 }, { 1, 'c', 136, -1, 7 },
};

struct limit { const char *key; enum limit_kind kind; };

static int numbers(const struct json *object, const char *where, const struct limit *limits, size_t count, struct limits_plan *plan, struct err *err)
{
	for (size_t index = 0; index < count; index++) {
		int64_t value;
		int given = spec_int(object, where, limits[index].key, INT64_MIN, INT64_MAX, &value, err);

		if (given < 0)
			return -1;
		if (given == 0)
			continue;
		plan->numbers[limits[index].kind] = value;
		plan->set |= 1u << limits[index].kind;
	}
	return 0;
}

static int memory(const struct json *object, struct limits_plan *plan, struct err *err)
{
	static const char *const known[] = { "limit", "swap", "reservation", "swappiness", "disableOOMKiller", "useHierarchy", NULL };
	static const char *const refused[] = { "kernel", "kernelTCP", "checkBeforeUpdate", NULL };
	static const struct limit limits[] = {
		{ "limit", LIMIT_MEMORY }, { "swap", LIMIT_MEMORY_SWAP }, { "reservation", LIMIT_RESERVATION }, { "swappiness", LIMIT_SWAPPINESS },
	};
	int disable = 0;

	if (spec_members(object, "linux.resources.memory", known, refused, err) < 0 ||
	    numbers(object, "linux.resources.memory", limits, sizeof(limits) / sizeof(*limits), plan, err) < 0 ||
	    spec_bool(object, "linux.resources.memory", "disableOOMKiller", &disable, err) < 0)
		return -1;
	if (disable) {
		plan->numbers[LIMIT_OOM_DISABLE] = 1;
		plan->set |= 1u << LIMIT_OOM_DISABLE;
	}
	return 0;
}

static int cpu(const struct json *object, struct limits_plan *plan, struct err *err)
{
	static const char *const known[] = { "shares", "quota", "period", "realtimePeriod", "realtimeRuntime", "cpus", "mems", NULL };
	static const char *const refused[] = { "burst", "idle", NULL };
	static const struct limit limits[] = {
		{ "shares", LIMIT_CPU_SHARES }, { "quota", LIMIT_CPU_QUOTA }, { "period", LIMIT_CPU_PERIOD },
		{ "realtimePeriod", LIMIT_RT_PERIOD }, { "realtimeRuntime", LIMIT_RT_RUNTIME },
	};
	static const enum limit_kind unset_at_zero[] = { LIMIT_CPU_SHARES, LIMIT_CPU_QUOTA, LIMIT_CPU_PERIOD, LIMIT_RT_PERIOD, LIMIT_RT_RUNTIME };

	if (spec_members(object, "linux.resources.cpu", known, refused, err) < 0 ||
	    numbers(object, "linux.resources.cpu", limits, sizeof(limits) / sizeof(*limits), plan, err) < 0 ||
	    spec_text(object, "linux.resources.cpu", "cpus", &plan->texts[LIMIT_CPUSET_CPUS], err) < 0 ||
	    spec_text(object, "linux.resources.cpu", "mems", &plan->texts[LIMIT_CPUSET_MEMS], err) < 0)
		return -1;
	/* Clients write 0 for what they do not limit. */
	for (size_t index = 0; index < sizeof(unset_at_zero) / sizeof(*unset_at_zero); index++)
		if (plan->numbers[unset_at_zero[index]] == 0)
			plan->set &= ~(1u << unset_at_zero[index]);
	return 0;
}

static int block_devices(const struct json *object, const char *key, enum blkio_kind kind, struct limits_plan *plan, struct err *err)
{
	const struct json *list = json_get(object, key);

	for (const struct json *item = list ? list->first : NULL; item; item = item->next) {
		int64_t major = 0, minor = 0, rate = 0;
		struct blkio_plan *slot = plan_grow((void **)&plan->blkio, &plan->blkio_count, sizeof(*slot), err);

		if (!slot || spec_int(item, "linux.resources.blockIO", "major", 0, 1 << 20, &major, err) < 0 ||
		    spec_int(item, "linux.resources.blockIO", "minor", 0, 1 << 20, &minor, err) < 0 ||
		    spec_int(item, "linux.resources.blockIO", kind == BLKIO_WEIGHT ? "weight" : "rate", kind == BLKIO_WEIGHT ? 10 : 0,
			     kind == BLKIO_WEIGHT ? 1000 : INT64_MAX, &rate, err) < 0)
			return -1;
		if (json_get(item, "leafWeight"))
			return spec_bad(err, "linux.resources.blockIO", "leafWeight", "is not supported by this runtime");
		*slot = (struct blkio_plan){ kind, (uint32_t)major, (uint32_t)minor, (uint64_t)rate };
	}
	return 0;
}

static int block_io(const struct json *object, struct limits_plan *plan, struct err *err)
{
	static const char *const known[] = { "weight", "weightDevice", "throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice",
					     "throttleWriteIOPSDevice", NULL };
	static const char *const refused[] = { "leafWeight", NULL };
	static const struct limit limits[] = { { "weight", LIMIT_BLKIO_WEIGHT } };

	if (spec_members(object, "linux.resources.blockIO", known, refused, err) < 0 ||
	    numbers(object, "linux.resources.blockIO", limits, 1, plan, err) < 0 || block_devices(object, "weightDevice", BLKIO_WEIGHT, plan, err) < 0 ||
	    block_devices(object, "throttleReadBpsDevice", BLKIO_READ_BPS, plan, err) < 0 ||
	    block_devices(object, "throttleWriteBpsDevice", BLKIO_WRITE_BPS, plan, err) < 0 ||
	    block_devices(object, "throttleReadIOPSDevice", BLKIO_READ_IOPS, plan, err) < 0 ||
	    block_devices(object, "throttleWriteIOPSDevice", BLKIO_WRITE_IOPS, plan, err) < 0)
		return -1;
	if (plan->numbers[LIMIT_BLKIO_WEIGHT] == 0)
		plan->set &= ~(1u << LIMIT_BLKIO_WEIGHT);
	return 0;
}

static int pids(const struct json *object, struct limits_plan *plan, struct err *err)
{
	static const char *const known[] = { "limit", NULL };
	int64_t value = 0;
	int given = spec_int(object, "linux.resources.pids", "limit", INT64_MIN, INT64_MAX, &value, err);

	if (given < 0 || spec_members(object, "linux.resources.pids", known, NULL, err) < 0)
		return -1;
	/* The specification of 1.0: no limit at 0 and below. */
	if (given) {
		plan->numbers[LIMIT_PIDS] = value > 0 ? value : -1;
		plan->set |= 1u << LIMIT_PIDS;
	}
	return 0;
}

static int rule(const struct json *item, struct plan *plan, struct err *err)
{
	static const char *const known[] = { "allow", "type", "major", "minor", "access", NULL };
	const char *type = NULL, *access = NULL;
	int64_t major = -1, minor = -1;
	int allow = 0;

	if (spec_members(item, "linux.resources.devices", known, NULL, err) < 0 || spec_bool(item, "linux.resources.devices", "allow", &allow, err) < 0 ||
	    spec_text(item, "linux.resources.devices", "type", &type, err) < 0 || spec_text(item, "linux.resources.devices", "access", &access, err) < 0 ||
	    spec_int(item, "linux.resources.devices", "major", -1, 1 << 20, &major, err) < 0 ||
	    spec_int(item, "linux.resources.devices", "minor", -1, 1 << 20, &minor, err) < 0)
		return -1;
	if (type && (!strchr("abcu", type[0]) || type[1]))
		return spec_bad(err, "linux.resources.devices", "type", "must be a, b, c or u");
	if (access && access[strspn(access, "rwm")])
		return spec_bad(err, "linux.resources.devices", "access", "must be made of r, w and m");
	struct device_rule *slot = plan_grow((void **)&plan->device_rules, &plan->device_rule_count, sizeof(*slot), err);
	if (!slot)
		return -1;
	uint8_t bits = 0;
	for (const char *letter = access ? access : "rwm"; *letter; letter++)
		bits |= *letter == 'r' ? 1 : *letter == 'w' ? 2 : 4;
	*slot = (struct device_rule){ allow, type ? (type[0] == 'u' ? 'c' : type[0]) : 'a', (int32_t)major, (int32_t)minor, bits };
	return 0;
}

/* Rules that let everything through are none: no rule of ours would be more. */
static int device_rules(const struct json *list, struct plan *plan, struct err *err)
{
	int all = 0;

	for (const struct json *item = list ? list->first : NULL; item; item = item->next) {
		if (rule(item, plan, err) < 0)
			return -1;
		const struct device_rule *last = &plan->device_rules[plan->device_rule_count - 1];
		if (last->type == 'a' && last->major < 0 && last->minor < 0 && last->access == 7)
			all = last->allow;
		else if (!last->allow)
			all = 0;
	}
	if (all) {
		plan->device_rule_count = 0;
		return 0;
	}
	for (size_t index = 0; index < sizeof(ALWAYS) / sizeof(*ALWAYS); index++) {
		struct device_rule *slot = plan_grow((void **)&plan->device_rules, &plan->device_rule_count, sizeof(*slot), err);

		if (!slot)
			return -1;
		*slot = ALWAYS[index];
	}
	return 0;
}

int spec_resources(const struct json *object, struct plan *plan, struct err *err)
{
	static const char *const known[] = { "devices", "memory", "cpu", "pids", "blockIO", NULL };
	static const char *const refused[] = { "hugepageLimits", "network", "rdma", "unified", NULL };

	if (spec_members(object, "linux.resources", known, refused, err) < 0 || memory(json_get(object, "memory"), &plan->limits, err) < 0 ||
	    cpu(json_get(object, "cpu"), &plan->limits, err) < 0 || pids(json_get(object, "pids"), &plan->limits, err) < 0 ||
	    block_io(json_get(object, "blockIO"), &plan->limits, err) < 0)
		return -1;
	return device_rules(json_get(object, "devices"), plan, err);
}
