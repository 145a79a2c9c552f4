#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "oci.h"
#include "plan-records.h"

/* What every container has, whatever its config says: the specification's default devices and links. */
static const struct device_plan DEVICES[] = {
	{ "/dev/null", 'c', 1, 3, 0666, 0, 0 }, { "/dev/zero", 'c', 1, 5, 0666, 0, 0 }, { "/dev/full", 'c', 1, 7, 0666, 0, 0 },
	{ "/dev/random", 'c', 1, 8, 0666, 0, 0 }, { "/dev/urandom", 'c', 1, 9, 0666, 0, 0 }, { "/dev/tty", 'c', 5, 0, 0666, 0, 0 },
};
static const struct pair_plan LINKS[] = {
	{ "/dev/fd", "/proc/self/fd" }, { "/dev/stdin", "/proc/self/fd/0" }, { "/dev/stdout", "/proc/self/fd/1" },
	{ "/dev/stderr", "/proc/self/fd/2" }, { "/dev/ptmx", "pts/ptmx" },
};

static int namespaces(const struct json *list, struct plan *plan, struct err *err)
{
	static const char *const known[] = { "type", "path", NULL };
	static const struct { const char *type; int kind; } kinds[] = {
		{ "pid", NS_PID }, { "network", NS_NET }, { "ipc", NS_IPC }, { "uts", NS_UTS }, { "cgroup", NS_CGROUP }, { "mount", 0 },
	};
	int has_mount = 0;

	for (const struct json *item = list ? list->first : NULL; item; item = item->next) {
		const char *type = NULL, *path = NULL;
		size_t index = 0;

		if (spec_members(item, "linux.namespaces", known, NULL, err) < 0 || spec_text(item, "linux.namespaces", "type", &type, err) < 0 ||
		    spec_text(item, "linux.namespaces", "path", &path, err) < 0)
			return -1;
		while (index < sizeof(kinds) / sizeof(*kinds) && (!type || strcmp(kinds[index].type, type) != 0))
			index++;
		if (index == sizeof(kinds) / sizeof(*kinds))
			return spec_bad(err, "linux.namespaces", type ? type : "type", "is not supported by this runtime");
		if (path && path[0] != '/')
			return spec_bad(err, "linux.namespaces", type, "must have an absolute path");
		if (kinds[index].kind == 0 && path)
			return spec_bad(err, "linux.namespaces", "mount", "by a path is not supported by this runtime");
		has_mount |= kinds[index].kind == 0;
		struct ns_plan *namespace = &plan->namespaces[kinds[index].kind];
		if (kinds[index].kind != 0 && namespace->mode != NS_HOST)
			return spec_bad(err, "linux.namespaces", type, "is there twice");
		namespace->mode = path ? NS_PATH : NS_PRIVATE;
		namespace->path = path;
	}
	plan->namespaces[0].mode = NS_HOST;
	return has_mount ? 0 : spec_bad(err, "linux.namespaces", "mount", "is missing: a container without a mount namespace is not supported by this runtime");
}

static int device(const struct json *item, struct plan *plan, struct err *err)
{
	static const char *const known[] = { "type", "path", "major", "minor", "fileMode", "uid", "gid", NULL };
	const char *type = NULL, *path = NULL;
	int64_t major = 0, minor = 0, mode = 0666, uid = 0, gid = 0;

	if (spec_members(item, "linux.devices", known, NULL, err) < 0 || spec_text(item, "linux.devices", "type", &type, err) < 0 ||
	    spec_text(item, "linux.devices", "path", &path, err) < 0 || spec_int(item, "linux.devices", "major", 0, 1 << 20, &major, err) < 0 ||
	    spec_int(item, "linux.devices", "minor", 0, 1 << 20, &minor, err) < 0 || spec_int(item, "linux.devices", "fileMode", 0, 0x1ffff, &mode, err) < 0 ||
	    spec_int(item, "linux.devices", "uid", 0, INT32_MAX, &uid, err) < 0 || spec_int(item, "linux.devices", "gid", 0, INT32_MAX, &gid, err) < 0)
		return -1;
	if (!path || path[0] != '/')
		return spec_bad(err, "linux.devices", "path", "must be an absolute path");
	if (!type || !strchr("cbu", type[0]) || type[1])
		return spec_bad(err, "linux.devices", path, "must be of the type c, b or u");
	struct device_plan *slot = NULL;
	for (size_t index = 0; index < plan->device_count; index++)
		if (strcmp(plan->devices[index].path, path) == 0)
			slot = &plan->devices[index];
	if (!slot)
		slot = plan_grow((void **)&plan->devices, &plan->device_count, sizeof(*slot), err);
	if (!slot)
		return -1;
	*slot = (struct device_plan){ path, type[0] == 'b' ? 'b' : 'c', (uint32_t)major, (uint32_t)minor, (uint32_t)mode & 0777, (uint32_t)uid, (uint32_t)gid };
	return 0;
}

/* Where the config binds a /dev of its own, nothing is made in it. */
static int devices(const struct json *list, struct plan *plan, struct err *err)
{
	int fresh = 1;

	for (size_t index = 0; index < plan->mount_count; index++)
		if (strcmp(plan->mounts[index].target, "/dev") == 0)
			fresh = plan->mounts[index].kind != MOUNT_BIND;
	for (size_t index = 0; fresh && index < sizeof(DEVICES) / sizeof(*DEVICES); index++) {
		struct device_plan *slot = plan_grow((void **)&plan->devices, &plan->device_count, sizeof(*slot), err);

		if (!slot)
			return -1;
		*slot = DEVICES[index];
	}
	for (size_t index = 0; fresh && index < sizeof(LINKS) / sizeof(*LINKS); index++) {
		struct pair_plan *slot = plan_grow((void **)&plan->links, &plan->link_count, sizeof(*slot), err);

		if (!slot)
			return -1;
		*slot = LINKS[index];
	}
	for (const struct json *item = list ? list->first : NULL; item; item = item->next)
		if (device(item, plan, err) < 0)
			return -1;
	return 0;
}

static int paths(const struct json *list, const char *key, struct text_list *out, struct err *err)
{
	for (const struct json *item = list ? list->first : NULL; item; item = item->next) {
		if (!json_text(item) || item->text[0] != '/')
			return spec_bad(err, "linux", key, "must be a list of absolute paths");
		if (plan_append(out, item->text, err) < 0)
			return -1;
	}
	return 0;
}

/* Only what belongs to the container's own namespaces: a host's setting is not a container's to change. */
static int sysctls(const struct json *object, struct plan *plan, struct err *err)
{
	static const char *const ipc[] = { "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
					   "kernel.shmmni", "kernel.shm_rmid_forced", NULL };

	for (const struct json *item = object ? object->first : NULL; item; item = item->next) {
		int own = strncmp(item->key, "net.", 4) == 0 && plan->namespaces[NS_NET].mode != NS_HOST;

		for (const char *const *name = ipc; *name; name++)
			own |= strcmp(*name, item->key) == 0 && plan->namespaces[NS_IPC].mode != NS_HOST;
		own |= strncmp(item->key, "fs.mqueue.", 10) == 0 && plan->namespaces[NS_IPC].mode != NS_HOST;
		own |= strcmp(item->key, "kernel.domainname") == 0 && plan->namespaces[NS_UTS].mode != NS_HOST;
		if (!own)
			return spec_bad(err, "linux.sysctl", item->key, "is not of a namespace of the container's own");
		if (!json_text(item))
			return spec_bad(err, "linux.sysctl", item->key, "must be a string");
		struct pair_plan *slot = plan_grow((void **)&plan->sysctls, &plan->sysctl_count, sizeof(*slot), err);
		if (!slot)
			return -1;
		*slot = (struct pair_plan){ item->key, item->text };
	}
	return 0;
}

static int propagation(const struct json *object, struct err *err)
{
	static const char *const fine[] = { "private", "rprivate", "slave", "rslave" };
	const char *text = NULL;

	if (spec_text(object, "linux", "rootfsPropagation", &text, err) < 0)
		return -1;
	for (size_t index = 0; index < sizeof(fine) / sizeof(*fine); index++)
		if (!text || strcmp(fine[index], text) == 0)
			return 0;
	return spec_bad(err, "linux", "rootfsPropagation", "is supported by this runtime as private, rprivate, slave and rslave");
}

static int group_path(const struct json *object, struct plan *plan, struct err *err)
{
	const char *path = NULL;
	char *absolute;

	if (spec_text(object, "linux", "cgroupsPath", &path, err) < 0)
		return -1;
	if (path && strchr(path, ':'))
		return spec_bad(err, "linux", "cgroupsPath", "is one of systemd, which is not supported by this runtime");
	if (path && (strstr(path, "..") || strstr(path, "//") || strcmp(path, "/") == 0))
		return spec_bad(err, "linux", "cgroupsPath", "must be a plain path");
	/* A relative path, or none, is below the hierarchies' roots. */
	if (asprintf(&absolute, "%s%s", path && path[0] == '/' ? "" : "/", path ? path : plan->id) < 0 || !spec_keep(absolute))
		return err_set(err, ENOMEM, "read config.json", "out of memory");
	plan->cgroup = absolute;
	return 0;
}

int spec_linux(const struct json *object, struct plan *plan, struct err *err)
{
	static const char *const known[] = { "namespaces", "devices", "cgroupsPath", "resources", "seccomp", "sysctl", "maskedPaths", "readonlyPaths",
					     "rootfsPropagation", "mountLabel", NULL };
	static const char *const refused[] = { "uidMappings", "gidMappings", "intelRdt", "personality", "timeOffsets", "netDevices", "memoryPolicy", NULL };
	const char *mount_label = NULL;

	if (spec_members(object, "linux", known, refused, err) < 0 || spec_text(object, "linux", "mountLabel", &mount_label, err) < 0 || namespaces(json_get(object, "namespaces"), plan, err) < 0 ||
	    devices(json_get(object, "devices"), plan, err) < 0 || group_path(object, plan, err) < 0 ||
	    spec_resources(json_get(object, "resources"), plan, err) < 0 || sysctls(json_get(object, "sysctl"), plan, err) < 0 ||
	    paths(json_get(object, "maskedPaths"), "maskedPaths", &plan->masks, err) < 0 ||
	    paths(json_get(object, "readonlyPaths"), "readonlyPaths", &plan->readonly_paths, err) < 0 || propagation(object, err) < 0)
		return -1;
	if (spec_selinux(mount_label, &plan->mount_label) < 0)
		return spec_bad(err, "linux", "mountLabel", "cannot be had: it is malformed, or this kernel has no SELinux, or it is off");
	return spec_seccomp(json_get(object, "seccomp"), &plan->process, err);
}
