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
	{ LIMIT_RT_PERIOD, "cpu", "cpu.rt_period_us", "cpu realtime period" },
	{ LIMIT_RT_RUNTIME, "cpu", "cpu.rt_runtime_us", "cpu realtime runtime" },
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
		/* Swappiness, switching off the OOM killer and realtime budgets have no v2 form. */
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

/* A realtime program without its budget does not run at all: refused, where other limits give a warning. */
static int fail_realtime(const struct limits_plan *limits, const struct limit_file *file, struct err *err)
{
	long long value = (long long)limits->numbers[file->kind];

	if (errno == ENOENT || errno == EOPNOTSUPP)
		return err_set(err, errno, "apply limit", "%s = %lld: this kernel has no realtime budgets for control groups (cgroup v1 with CONFIG_RT_GROUP_SCHED)",
			       file->name, value);
	return err_sys(err, "apply limit", "%s = %lld: must fit into what cpu.rt_runtime_us of the parent group leaves", file->name, value);
}

static int apply_number(struct cgroup *cgroup, const struct limits_plan *limits, const struct limit_file *file,
			struct warnings *warnings, struct err *err)
{
	struct hierarchy *hierarchy = find(cgroup, file->controller);

	int is_realtime = file->kind == LIMIT_RT_PERIOD || file->kind == LIMIT_RT_RUNTIME;

	if (!hierarchy && is_realtime) {
		errno = ENOENT;
		return fail_realtime(limits, file, err);
	}
	if (!hierarchy) {
		warn(warnings, file->name, "this host lacks the controller");
		return 0;
	}
	int result = hierarchy->is_v2 ? v2_number(hierarchy, limits, file->kind)
				      : v1_number(hierarchy, file, limits->numbers[file->kind]);
	if (result == 0)
		return 0;
	if (is_realtime)
		return fail_realtime(limits, file, err);
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

/* The line for a limit of one device, and the file it goes to; v1 weights have a second name, the BFQ scheduler's. */
static const char *device_line(const struct blkio_plan *limit, int is_v2, int second, char *text, size_t size)
{
	static const char *const v1[] = {
		"", "blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device",
		"blkio.throttle.read_iops_device", "blkio.throttle.write_iops_device", "blkio.weight_device",
	};
	static const char *const v2[] = { "", "rbps=", "wbps=", "riops=", "wiops=", "" };
	unsigned long long rate = (unsigned long long)limit->rate;
	int is_weight = limit->kind == BLKIO_WEIGHT;

	if (is_v2 && is_weight && !second)
		rate = 1 + (rate - 10) * 9999 / 990;
	if (is_v2 && !is_weight && rate == 0)
		snprintf(text, size, "%u:%u %smax", limit->major, limit->minor, v2[limit->kind]);
	else
		snprintf(text, size, "%u:%u %s%llu", limit->major, limit->minor, is_v2 ? v2[limit->kind] : "", rate);
	if (is_v2)
		return !is_weight ? "io.max" : second ? "io.bfq.weight" : "io.weight";
	return is_weight && second ? "blkio.bfq.weight_device" : v1[limit->kind];
}

static int apply_devices(struct cgroup *cgroup, const struct limits_plan *limits, struct err *err)
{
	struct hierarchy *hierarchy = find(cgroup, "blkio");

	for (size_t index = 0; index < limits->blkio_count; index++) {
		const struct blkio_plan *limit = &limits->blkio[index];
		const char *name = limit->kind == BLKIO_WEIGHT ? "weight" : "throttle";
		char text[96];
		int result = -1;

		if (!hierarchy)
			return err_set(err, ENOENT, "apply limit", "blkio %s: this host lacks the blkio and io controllers", name);
		for (int second = 0; second <= (limit->kind == BLKIO_WEIGHT); second++) {
			const char *file = device_line(limit, hierarchy->is_v2, second, text, sizeof(text));

			result = write_file_at(hierarchy->group, file, text);
			if (result == 0 || errno != ENOENT)
				break;
		}
		if (result < 0 && errno == EOPNOTSUPP)
			return err_set(err, errno, "apply limit", "blkio %s %s: the device's I/O scheduler has none (weights want BFQ)", name, text);
		if (result < 0)
			return err_sys(err, "apply limit", "blkio %s %s", name, text);
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
	return apply_devices(cgroup, limits, err);
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
