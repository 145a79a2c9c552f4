#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "oci.h"
#include "plan-records.h"

struct flag { const char *name; uint64_t set, clear; int recursive; };

static const struct flag FLAGS[] = {
	{ "ro", MOUNT_ATTR_RDONLY, 0, 0 }, { "rw", 0, MOUNT_ATTR_RDONLY, 0 }, { "rro", MOUNT_ATTR_RDONLY, 0, 1 },
	{ "nosuid", MOUNT_ATTR_NOSUID, 0, 0 }, { "suid", 0, MOUNT_ATTR_NOSUID, 0 }, { "rnosuid", MOUNT_ATTR_NOSUID, 0, 1 },
	{ "nodev", MOUNT_ATTR_NODEV, 0, 0 }, { "dev", 0, MOUNT_ATTR_NODEV, 0 }, { "rnodev", MOUNT_ATTR_NODEV, 0, 1 },
	{ "noexec", MOUNT_ATTR_NOEXEC, 0, 0 }, { "exec", 0, MOUNT_ATTR_NOEXEC, 0 }, { "rnoexec", MOUNT_ATTR_NOEXEC, 0, 1 },
	{ "noatime", MOUNT_ATTR_NOATIME, 0, 0 }, { "nodiratime", MOUNT_ATTR_NODIRATIME, 0, 0 }, { "strictatime", MOUNT_ATTR_STRICTATIME, 0, 0 },
	{ "relatime", 0, MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME, 0 }, { "atime", 0, MOUNT_ATTR_NOATIME, 0 },
	{ "diratime", 0, MOUNT_ATTR_NODIRATIME, 0 }, { "defaults", 0, 0, 0 }, { "async", 0, 0, 0 },
};
static const char *const PROPAGATIONS[] = { "private", "rprivate", "slave", "rslave", "shared", "rshared" };
/* Known to other runtimes; not done here. */
static const char *const REFUSED[] = { "unbindable", "runbindable", "idmap", "ridmap", "tmpcopyup", "sync", "dirsync", "mand", "remount", "iversion", "lazytime", "silent", "copy-symlink", NULL };

static int kind_of(const char *type, const struct mount_plan *mount)
{
	static const struct { const char *type; enum mount_kind kind; } kinds[] = {
		{ "bind", MOUNT_BIND }, { "none", MOUNT_BIND }, { "proc", MOUNT_PROC }, { "sysfs", MOUNT_SYSFS }, { "tmpfs", MOUNT_TMPFS },
		{ "devpts", MOUNT_DEVPTS }, { "mqueue", MOUNT_MQUEUE }, { "cgroup", MOUNT_CGROUP }, { "cgroup2", MOUNT_CGROUP },
	};

	if (mount->kind == MOUNT_BIND)
		return MOUNT_BIND;
	for (size_t index = 0; type && index < sizeof(kinds) / sizeof(*kinds); index++)
		if (strcmp(kinds[index].type, type) == 0)
			return (int)kinds[index].kind;
	return -1;
}

static int data_option(struct mount_plan *mount, char *option, struct err *err)
{
	char *equals = strchr(option, '=');

	if (mount->option_count == PLAN_MAX_OPTIONS)
		return spec_bad(err, "mounts", mount->target, "has more than 16 options");
	if (equals)
		*equals = '\0';
	mount->options[mount->option_count][0] = option;
	mount->options[mount->option_count++][1] = equals ? equals + 1 : "";
	return 0;
}

static int option(struct mount_plan *mount, const char *text, int *deep_flags, struct err *err)
{
	if (strcmp(text, "bind") == 0 || strcmp(text, "rbind") == 0) {
		mount->kind = MOUNT_BIND;
		mount->reach = text[0] == 'r' ? REACH_RECURSIVE_TOP : REACH_ONE;
		return 0;
	}
	for (size_t index = 0; index < sizeof(FLAGS) / sizeof(*FLAGS); index++) {
		if (strcmp(FLAGS[index].name, text) != 0)
			continue;
		mount->attributes = (mount->attributes & ~FLAGS[index].clear) | FLAGS[index].set;
		*deep_flags |= FLAGS[index].recursive;
		return 0;
	}
	for (int index = 0; index < PROP_KINDS; index++)
		if (strcmp(PROPAGATIONS[index], text) == 0) {
			mount->propagation = (enum propagation)index;
			return 0;
		}
	for (const char *const *refused = REFUSED; *refused; refused++)
		if (strcmp(*refused, text) == 0) {
			char why[128];

			snprintf(why, sizeof(why), "has the option %s, which is not supported by this runtime", text);
			return spec_bad(err, "mounts", mount->target, why);
		}
	/* What is no flag is an option of the file system; newinstance is what devpts is here anyway. */
	if (strcmp(text, "newinstance") == 0)
		return 0;
	char *copy = spec_keep(strdup(text));
	return copy ? data_option(mount, copy, err) : err_set(err, 12, "read config.json", "out of memory");
}

static int options(const struct json *list, struct mount_plan *mount, struct err *err)
{
	int deep_flags = 0;

	if (list && list->type != JSON_ARRAY)
		return spec_bad(err, "mounts", mount->target, "must have its options as a list of strings");
	for (const struct json *item = list ? list->first : NULL; item; item = item->next)
		if (!json_text(item) || option(mount, item->text, &deep_flags, err) < 0)
			return json_text(item) ? -1 : spec_bad(err, "mounts", mount->target, "must have its options as a list of strings");
	if (deep_flags && mount->reach == REACH_RECURSIVE_TOP)
		mount->reach = REACH_RECURSIVE;
	return 0;
}

static int one(const struct json *item, const char *bundle, struct plan *plan, struct err *err)
{
	static const char *const known[] = { "destination", "type", "source", "options", NULL };
	static const char *const refused[] = { "uidMappings", "gidMappings", NULL };
	struct mount_plan *mount = plan_grow((void **)&plan->mounts, &plan->mount_count, sizeof(*mount), err);
	const char *type = NULL;

	if (!mount)
		return -1;
	mount->propagation = PROP_RPRIVATE;
	mount->source = "";
	if (spec_members(item, "mounts", known, refused, err) < 0 || spec_text(item, "mounts", "destination", &mount->target, err) < 0 ||
	    spec_text(item, "mounts", "type", &type, err) < 0)
		return -1;
	if (!mount->target || mount->target[0] != '/')
		return spec_bad(err, "mounts", mount->target ? mount->target : "destination", "must be an absolute path");
	if (options(json_get(item, "options"), mount, err) < 0)
		return -1;
	int kind = kind_of(type, mount);
	if (kind < 0) {
		char why[128];

		snprintf(why, sizeof(why), "is of the type %s, which is not supported by this runtime", type ? type : "\"\"");
		return spec_bad(err, "mounts", mount->target, why);
	}
	mount->kind = strcmp(mount->target, "/dev") == 0 && kind == MOUNT_TMPFS ? MOUNT_DEV : (enum mount_kind)kind;
	const char *source = json_text(json_get(item, "source"));
	if (mount->kind != MOUNT_BIND)
		return 0;
	if (mount->option_count > 0)
		return spec_bad(err, "mounts", mount->target, "is a bind and has options of a file system");
	if (!source || !*source)
		return spec_bad(err, "mounts", mount->target, "is a bind without a source");
	char *joined = NULL;
	if (asprintf(&joined, "%s%s%s", source[0] == '/' ? "" : bundle, source[0] == '/' ? "" : "/", source) < 0 || !spec_keep(joined))
		return err_set(err, 12, "read config.json", "out of memory");
	mount->source = joined;
	return 0;
}

int spec_mounts(const struct json *mounts, const char *bundle, struct plan *plan, struct err *err)
{
	if (mounts && mounts->type != JSON_ARRAY)
		return spec_bad(err, "mounts", "", "must be a list");
	for (const struct json *item = mounts ? mounts->first : NULL; item; item = item->next)
		if (one(item, bundle, plan, err) < 0)
			return -1;
	return 0;
}
