#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "io.h"

/* v1 names a file per limit; for v2 see v2_number. */
struct limit_file {
	enum limit_kind kind;
	const char *controller, *v1_file, *name;
};

static const struct limit_file FILES[] = {
	{ LIMIT_MEMORY, "memory", "memory.limit_in_bytes", "memory" },
	{ LIMIT_MEMORY_SWAP, "memory", "memory.memsw.limit_in_bytes", "memory and swap" },
	{ LIMIT_RESERVATION, "memory", "memory.soft_limit_in_bytes", "memory reservation" },
	{ LIMIT_SWAPPINESS, "memory", "memory.swappiness", "swappiness" },
	{ LIMIT_OOM_DISABLE, "memory", "memory.oom_control", "oom kill disable" },
	{ LIMIT_CPU_SHARES, "cpu", "cpu.shares", "cpu shares" },
	{ LIMIT_CPU_PERIOD, "cpu", "cpu.cfs_period_us", "cpu period" },
	{ LIMIT_CPU_QUOTA, "cpu", "cpu.cfs_quota_us", "cpu quota" },
	{ LIMIT_PIDS, "pids", "pids.max", "pids" },
	{ LIMIT_BLKIO_WEIGHT, "blkio", "blkio.weight", "blkio weight" },
};

static void warn(struct warnings *warnings, const char *name, const char *why)
{
	size_t used = strlen(warnings->text);

	snprintf(warnings->text + used, sizeof(warnings->text) - used, "%s%s limit not applied: %s", used ? "; " : "", name, why);
}

static void number_or_max(char *text, size_t size, int64_t value)
{
	if (value < 0)
		snprintf(text, size, "max");
	else
		snprintf(text, size, "%lld", (long long)value);
}

static int v1_number(struct hierarchy *hierarchy, const struct limit_file *file, int64_t value)
{
	char text[32];

	if (file->kind == LIMIT_PIDS)
		number_or_max(text, sizeof(text), value);
	else
		snprintf(text, sizeof(text), "%lld", (long long)value);
	int result = write_file_at(hierarchy->group, file->v1_file, text);
	if (result < 0 && errno == ENOENT && file->kind == LIMIT_BLKIO_WEIGHT)
		result = write_file_at(hierarchy->group, "blkio.bfq.weight", text);
	return result;
}

static int v2_number(struct hierarchy *hierarchy, const struct limits_plan *limits, enum limit_kind kind)
{
	int64_t value = limits->numbers[kind];
	char text[64];

	switch (kind) {
	case LIMIT_MEMORY:
		number_or_max(text, sizeof(text), value);
		return write_file_at(hierarchy->group, "memory.max", text);
	case LIMIT_MEMORY_SWAP:
		/* Docker's figure is memory plus swap; v2 wants swap alone. */
		number_or_max(text, sizeof(text), value < 0 || limits->numbers[LIMIT_MEMORY] < 0 ? -1 : value - limits->numbers[LIMIT_MEMORY]);
		return write_file_at(hierarchy->group, "memory.swap.max", text);
	case LIMIT_RESERVATION:
		number_or_max(text, sizeof(text), value);
		return write_file_at(hierarchy->group, "memory.low", text);
	case LIMIT_CPU_SHARES:
		snprintf(text, sizeof(text), "%lld", (long long)(value <= 2 ? 1 : 1 + (value - 2) * 9999 / 262142));
		return write_file_at(hierarchy->group, "cpu.weight", text);
	case LIMIT_CPU_PERIOD:
		if (limits->set & (1u << LIMIT_CPU_QUOTA))
			return 0;
		snprintf(text, sizeof(text), "max %lld", (long long)value);
		return write_file_at(hierarchy->group, "cpu.max", text);
	case LIMIT_CPU_QUOTA: {
		char quota[32];

		number_or_max(quota, sizeof(quota), value);
		snprintf(text, sizeof(text), "%s %lld", quota,
			 (long long)(limits->set & (1u << LIMIT_CPU_PERIOD) ? limits->numbers[LIMIT_CPU_PERIOD] : 100000));
		return write_file_at(hierarchy->group, "cpu.max", text);
	}
	case LIMIT_PIDS:
		number_or_max(text, sizeof(text), value);
		return write_file_at(hierarchy->group, "pids.max", text);
	case LIMIT_BLKIO_WEIGHT:
		snprintf(text, sizeof(text), "default %lld", (long long)(1 + (value - 10) * 9999 / 990));
		return write_file_at(hierarchy->group, "io.weight", text);
	default:
		/* Swappiness and switching off the OOM killer have no v2 form. */
		errno = ENOENT;
		return -1;
	}
}

static struct hierarchy *find(struct cgroup *cgroup, const char *controller)
{
	struct hierarchy *hierarchy = cgroup_controller(cgroup, controller);

	if (!hierarchy && strcmp(controller, "blkio") == 0)
		hierarchy = cgroup_controller(cgroup, "io");
	return hierarchy;
}

static int apply_number(struct cgroup *cgroup, const struct limits_plan *limits, const struct limit_file *file,
			struct warnings *warnings, struct err *err)
{
	struct hierarchy *hierarchy = find(cgroup, file->controller);

	if (!hierarchy) {
		warn(warnings, file->name, "this host lacks the controller");
		return 0;
	}
	int result = hierarchy->is_v2 ? v2_number(hierarchy, limits, file->kind)
				      : v1_number(hierarchy, file, limits->numbers[file->kind]);
	if (result == 0)
		return 0;
	if (errno == ENOENT || errno == EOPNOTSUPP) {
		warn(warnings, file->name, "this kernel has no such setting");
		return 0;
	}
	return err_sys(err, "apply limit", "%s = %lld", file->name, (long long)limits->numbers[file->kind]);
}

static int apply_texts(struct cgroup *cgroup, const struct limits_plan *limits, struct warnings *warnings, struct err *err)
{
	static const char *const files[] = { "", "cpuset.cpus", "cpuset.mems" };
	struct hierarchy *hierarchy = cgroup_controller(cgroup, "cpuset");

	for (int kind = LIMIT_CPUSET_CPUS; kind < LIMIT_TEXT_KINDS; kind++) {
		if (!limits->texts[kind] || !*limits->texts[kind])
			continue;
		if (!hierarchy)
			warn(warnings, files[kind], "this host lacks the controller");
		else if (write_file_at(hierarchy->group, files[kind], limits->texts[kind]) < 0)
			return err_sys(err, "apply limit", "%s = %s", files[kind], limits->texts[kind]);
	}
	return 0;
}

static int apply_throttles(struct cgroup *cgroup, const struct limits_plan *limits, struct warnings *warnings, struct err *err)
{
	static const char *const v1[] = {
		"", "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device",
		"blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device",
	};
	static const char *const v2[] = { "", "rbps", "wbps", "riops", "wiops" };
	struct hierarchy *hierarchy = find(cgroup, "blkio");

	for (size_t index = 0; index < limits->blkio_count; index++) {
		const struct blkio_plan *throttle = &limits->blkio[index];
		char text[96];

		if (!hierarchy) {
			warn(warnings, "blkio throttle", "this host lacks the controller");
			return 0;
		}
		snprintf(text, sizeof(text), "%u:%u %s%s%llu", throttle->major, throttle->minor,
			 hierarchy->is_v2 ? v2[throttle->kind] : "", hierarchy->is_v2 ? "=" : "", (unsigned long long)throttle->rate);
		if (write_file_at(hierarchy->group, hierarchy->is_v2 ? "io.max" : v1[throttle->kind], text) < 0) {
			if (errno != ENOENT)
				return err_sys(err, "apply limit", "blkio throttle %s", text);
			warn(warnings, "blkio throttle", "this kernel has no such setting");
		}
	}
	return 0;
}

int cgroup_limits(struct cgroup *cgroup, const struct limits_plan *limits, struct warnings *warnings, struct err *err)
{
	struct hierarchy *memory = cgroup_controller(cgroup, "memory");

	/* v1 keeps memory <= memory+swap at every moment: when raising both, swap must go first. */
	if (memory && !memory->is_v2 && (limits->set & (1u << LIMIT_MEMORY)) && (limits->set & (1u << LIMIT_MEMORY_SWAP)) &&
	    v1_number(memory, &FILES[0], limits->numbers[LIMIT_MEMORY]) < 0 && errno == EINVAL)
		v1_number(memory, &FILES[1], limits->numbers[LIMIT_MEMORY_SWAP]);
	for (size_t index = 0; index < sizeof(FILES) / sizeof(*FILES); index++)
		if ((limits->set & (1u << FILES[index].kind)) && apply_number(cgroup, limits, &FILES[index], warnings, err) < 0)
			return -1;
	if (apply_texts(cgroup, limits, warnings, err) < 0)
		return -1;
	return apply_throttles(cgroup, limits, warnings, err);
}

int cgroup_devices(struct cgroup *cgroup, const struct device_rule *rules, size_t count, struct err *err)
{
	struct hierarchy *devices = cgroup_controller(cgroup, "devices");

	if (count == 0)
		return 0;
	if (!devices) {
		for (int index = 0; index < cgroup->count; index++)
			if (cgroup->hierarchies[index].is_v2)
				return cgroup_bpf_devices(cgroup->hierarchies[index].group, rules, count, err);
		return err_set(err, ENOENT, "restrict devices", "the host has neither a v1 devices controller nor a v2 tree");
	}
	if (write_file_at(devices->group, "devices.deny", "a") < 0)
		return err_sys(err, "restrict devices", "deny all");
	for (size_t index = 0; index < count; index++) {
		const struct device_rule *rule = &rules[index];
		char major[16] = "*", minor[16] = "*", text[64];

		if (rule->major >= 0)
			snprintf(major, sizeof(major), "%d", rule->major);
		if (rule->minor >= 0)
			snprintf(minor, sizeof(minor), "%d", rule->minor);
		snprintf(text, sizeof(text), "%c %s:%s %s%s%s", rule->type, major, minor, rule->access & 1 ? "r" : "",
			 rule->access & 2 ? "w" : "", rule->access & 4 ? "m" : "");
		if (write_file_at(devices->group, rule->allow ? "devices.allow" : "devices.deny", text) < 0)
			return err_sys(err, "restrict devices", "%s %s", rule->allow ? "allow" : "deny", text);
	}
	return 0;
}
