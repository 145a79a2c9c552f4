#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "apparmor.h"
#include "oci.h"
#include "plan-records.h"
#include "selinux.h"

static const char *const CAPABILITIES[] = {
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
	"SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
	"AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE",
};
static const char *const RLIMITS[] = {
	"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
};

static int index_of(const char *const *names, size_t count, const char *name, const char *prefix)
{
	size_t skip = strlen(prefix);

	if (!name || strncmp(name, prefix, skip) != 0)
		return -1;
	for (size_t index = 0; index < count; index++)
		if (strcmp(names[index], name + skip) == 0)
			return (int)index;
	return -1;
}

static int texts(const struct json *list, const char *where, const char *key, struct text_list *out, struct err *err)
{
	if (list && list->type != JSON_ARRAY)
		return spec_bad(err, where, key, "must be a list of strings");
	for (const struct json *item = list ? list->first : NULL; item; item = item->next) {
		if (!json_text(item))
			return spec_bad(err, where, key, "must be a list of strings");
		if (plan_append(out, item->text, err) < 0)
			return -1;
	}
	return 0;
}

static int capability_set(const struct json *sets, const char *key, uint64_t *bits, struct err *err)
{
	struct text_list names = { NULL, 0, 0 };
	int result = texts(json_get(sets, key), "process.capabilities", key, &names, err);

	for (size_t index = 0; result == 0 && index < names.count; index++) {
		int number = index_of(CAPABILITIES, sizeof(CAPABILITIES) / sizeof(*CAPABILITIES), names.items[index], "CAP_");
		char text[200];

		if (number >= 0) {
			*bits |= 1ull << number;
			continue;
		}
		/* As the other runtimes: one this kernel does not have cannot be given. */
		snprintf(text, sizeof(text), "config.json: process.capabilities.%s: unknown capability %s is left out", key, names.items[index]);
		log_message("warning", text);
	}
	free(names.items);
	return result;
}

static int capabilities(const struct json *sets, struct process_plan *plan, struct err *err)
{
	static const char *const known[] = { "bounding", "permitted", "effective", "inheritable", "ambient", NULL };

	if (spec_members(sets, "process.capabilities", known, NULL, err) < 0)
		return -1;
	plan->cap_bounding = plan->cap_permitted = plan->cap_effective = plan->cap_inheritable = plan->cap_ambient = 0;
	if (capability_set(sets, "bounding", &plan->cap_bounding, err) < 0 || capability_set(sets, "permitted", &plan->cap_permitted, err) < 0 ||
	    capability_set(sets, "effective", &plan->cap_effective, err) < 0 ||
	    capability_set(sets, "inheritable", &plan->cap_inheritable, err) < 0)
		return -1;
	return capability_set(sets, "ambient", &plan->cap_ambient, err);
}

static int rlimits(const struct json *list, struct process_plan *plan, struct err *err)
{
	for (const struct json *item = list ? list->first : NULL; item; item = item->next) {
		struct rlimit_plan *limit = plan_grow((void **)&plan->rlimits, &plan->rlimit_count, sizeof(*limit), err);
		int number = index_of(RLIMITS, sizeof(RLIMITS) / sizeof(*RLIMITS), json_text(json_get(item, "type")), "RLIMIT_");

		if (!limit)
			return -1;
		if (number < 0 || json_uint64(json_get(item, "soft"), &limit->soft) < 0 || json_uint64(json_get(item, "hard"), &limit->hard) < 0)
			return spec_bad(err, "process", "rlimits", "needs a known type, and soft and hard as numbers");
		limit->resource = (uint32_t)number;
	}
	return 0;
}

static int user(const struct json *user_object, struct process_plan *plan, struct err *err)
{
	static const char *const known[] = { "uid", "gid", "umask", "additionalGids", NULL };
	static const char *const refused[] = { "username", NULL };
	const struct json *groups = json_get(user_object, "additionalGids");
	int64_t uid = 0, gid = 0, mask = 022, group;

	if (spec_members(user_object, "process.user", known, refused, err) < 0 || spec_int(user_object, "process.user", "uid", 0, INT32_MAX, &uid, err) < 0 ||
	    spec_int(user_object, "process.user", "gid", 0, INT32_MAX, &gid, err) < 0 ||
	    spec_int(user_object, "process.user", "umask", 0, 0777, &mask, err) < 0)
		return -1;
	plan->exact_groups = 1;
	plan->uid = (uint32_t)uid;
	plan->gid = (uint32_t)gid;
	plan->umask = (uint32_t)mask;
	for (const struct json *item = groups ? groups->first : NULL; item; item = item->next) {
		uint32_t *slot = plan_grow((void **)&plan->groups, &plan->group_count, sizeof(*slot), err);

		if (!slot)
			return -1;
		if (json_int64(item, &group) < 0 || group < 0 || group > INT32_MAX)
			return spec_bad(err, "process.user", "additionalGids", "must be numbers of groups");
		*slot = (uint32_t)group;
	}
	return 0;
}

int spec_apparmor(const char *profile, struct process_plan *plan)
{
	if (!profile || !*profile)
		return 0;
	if (!apparmor_enabled())
		return strcmp(profile, "unconfined") == 0 ? 0 : -1;
	plan->apparmor = profile;
	return 0;
}

int spec_selinux(const char *label, const char **slot)
{
	if (!label || !*label)
		return 0;
	if (!selinux_enabled() || !selinux_is_label(label))
		return -1;
	*slot = label;
	return 0;
}

/* A profile or label is for kernels that know it, none for every kernel. */
static int labels(const struct json *process, const char *where, struct process_plan *plan, struct err *err)
{
	const char *apparmor = NULL, *selinux = NULL;

	if (spec_text(process, where, "apparmorProfile", &apparmor, err) < 0 || spec_text(process, where, "selinuxLabel", &selinux, err) < 0)
		return -1;
	if (spec_apparmor(apparmor, plan) < 0)
		return spec_bad(err, where, "apparmorProfile", "cannot be had: this kernel has no AppArmor, or it is off");
	if (spec_selinux(selinux, &plan->selinux) < 0)
		return spec_bad(err, where, "selinuxLabel", "cannot be had: it is malformed, or this kernel has no SELinux, or it is off");
	return 0;
}

int spec_process(const struct json *process, const char *where, struct process_plan *plan, struct err *err)
{
	static const char *const known[] = { "terminal", "consoleSize", "user", "args", "env", "cwd", "capabilities", "rlimits", "noNewPrivileges",
					     "apparmorProfile", "selinuxLabel", "oomScoreAdj", NULL };
	static const char *const refused[] = { "commandLine", "scheduler", "ioPriority", "execCPUAffinity", NULL };
	int64_t number = 0;

	if (spec_members(process, where, known, refused, err) < 0 || labels(process, where, plan, err) < 0 ||
	    texts(json_get(process, "args"), where, "args", &plan->argv, err) < 0 || texts(json_get(process, "env"), where, "env", &plan->env, err) < 0 ||
	    spec_text(process, where, "cwd", &plan->cwd, err) < 0 || user(json_get(process, "user"), plan, err) < 0 ||
	    spec_bool(process, where, "terminal", &plan->tty, err) < 0 || spec_bool(process, where, "noNewPrivileges", &plan->no_new_privs, err) < 0 ||
	    capabilities(json_get(process, "capabilities"), plan, err) < 0 || rlimits(json_get(process, "rlimits"), plan, err) < 0)
		return -1;
	if (plan->argv.count == 0)
		return spec_bad(err, where, "args", "must not be empty");
	if (!plan->cwd || plan->cwd[0] != '/')
		return spec_bad(err, where, "cwd", "must be an absolute path");
	const struct json *size = json_get(process, "consoleSize");
	int64_t rows = 0, cols = 0;
	if (spec_int(size, "process.consoleSize", "height", 0, 65535, &rows, err) < 0 || spec_int(size, "process.consoleSize", "width", 0, 65535, &cols, err) < 0)
		return -1;
	plan->rows = (uint16_t)rows;
	plan->cols = (uint16_t)cols;
	int given = spec_int(process, where, "oomScoreAdj", -1000, 1000, &number, err);
	if (given < 0)
		return -1;
	plan->has_oom_score_adj = given;
	plan->oom_score_adj = (int32_t)number;
	return 0;
}
