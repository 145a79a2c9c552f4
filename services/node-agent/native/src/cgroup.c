#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

/* Splits one mountinfo line; returns 0 when it is not a cgroup mount. */
static int parse_line(char *line, char **mount_point, char **kind, char **options)
{
	char *save = NULL, *field = strtok_r(line, " ", &save);

	for (int index = 1; field && index < 5; index++)
		field = strtok_r(NULL, " ", &save);
	*mount_point = field;
	while (field && strcmp(field, "-") != 0)
		field = strtok_r(NULL, " ", &save);
	*kind = field ? strtok_r(NULL, " ", &save) : NULL;
	if (!*kind || !strtok_r(NULL, " ", &save))
		return 0;
	*options = strtok_r(NULL, " ", &save);
	return *options && strncmp(*kind, "cgroup", 6) == 0;
}

static void read_v2_controllers(struct hierarchy *hierarchy)
{
	CLEANUP_FREE char *text = read_file_at(hierarchy->mount, "cgroup.controllers", 4096, NULL);

	snprintf(hierarchy->controllers, sizeof(hierarchy->controllers), ",%s,", text ? text : "");
	for (char *at = hierarchy->controllers; *at; at++)
		if (*at == ' ' || *at == '\n')
			*at = ',';
}

/* The super block options name the controllers: "rw,cpu,cpuacct" or "rw,xattr,name=systemd". */
static void read_v1_controllers(struct hierarchy *hierarchy, char *options)
{
	static const char *const plain[] = { "rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode", "favordynmods" };
	char *save = NULL;
	size_t at = (size_t)snprintf(hierarchy->controllers, sizeof(hierarchy->controllers), ",");

	for (char *option = strtok_r(options, ",", &save); option; option = strtok_r(NULL, ",", &save)) {
		int skip = strncmp(option, "release_agent=", 14) == 0;

		for (size_t index = 0; index < sizeof(plain) / sizeof(*plain); index++)
			skip = skip || strcmp(option, plain[index]) == 0;
		if (!skip && at + strlen(option) + 2 < sizeof(hierarchy->controllers))
			at += (size_t)snprintf(hierarchy->controllers + at, sizeof(hierarchy->controllers) - at, "%s,", option);
	}
}

static int is_known(const struct cgroup *cgroup, const struct hierarchy *candidate)
{
	for (int index = 0; index < cgroup->count; index++) {
		const struct hierarchy *known = &cgroup->hierarchies[index];

		if (known->is_v2 == candidate->is_v2 && (known->is_v2 || strcmp(known->controllers, candidate->controllers) == 0))
			return 1;
	}
	return 0;
}

int cgroup_open(struct cgroup *cgroup, const char *path, struct err *err)
{
	CLEANUP_FREE char *mounts = read_file_at(AT_FDCWD, "/proc/self/mountinfo", 8 << 20, NULL);
	char *save = NULL, *mount_point, *kind, *options;

	memset(cgroup, 0, sizeof(*cgroup));
	cgroup->path = path;
	if (!mounts)
		return err_sys(err, "find cgroups", "cannot read /proc/self/mountinfo");
	for (char *line = strtok_r(mounts, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!parse_line(line, &mount_point, &kind, &options) || cgroup->count == CGROUP_HIERARCHIES)
			continue;
		struct hierarchy *hierarchy = &cgroup->hierarchies[cgroup->count];
		hierarchy->is_v2 = strcmp(kind, "cgroup2") == 0;
		hierarchy->group = -1;
		snprintf(hierarchy->mount_point, sizeof(hierarchy->mount_point), "%s", mount_point);
		hierarchy->mount = open(mount_point, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (hierarchy->mount < 0)
			continue;
		if (hierarchy->is_v2)
			read_v2_controllers(hierarchy);
		else
			read_v1_controllers(hierarchy, options);
		if (is_known(cgroup, hierarchy)) {
			close(hierarchy->mount);
			continue;
		}
		hierarchy->group = openat(hierarchy->mount, path + 1, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		cgroup->count++;
	}
	if (cgroup->count == 0)
		return err_set(err, ENOENT, "find cgroups", "no cgroup file system is mounted on this host");
	return 0;
}

struct hierarchy *cgroup_controller(struct cgroup *cgroup, const char *controller)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), ",%s,", controller);
	for (int index = 0; index < cgroup->count; index++)
		if (strstr(cgroup->hierarchies[index].controllers, wanted))
			return &cgroup->hierarchies[index];
	return NULL;
}

const char *cgroup_mode(const struct cgroup *cgroup)
{
	int v1 = 0, v2 = 0;

	for (int index = 0; index < cgroup->count; index++) {
		if (cgroup->hierarchies[index].is_v2)
			v2 = 1;
		else
			v1 = 1;
	}
	return v1 && v2 ? "hybrid" : v2 ? "v2" : "v1";
}

/* A new v1 cpuset has no cpus and takes no process: copy the parent's. */
static int seed_cpuset(int parent, int group)
{
	static const char *const names[] = { "cpuset.cpus", "cpuset.mems" };

	for (int index = 0; index < 2; index++) {
		CLEANUP_FREE char *own = read_file_at(group, names[index], 65536, NULL);
		CLEANUP_FREE char *outer = read_file_at(parent, names[index], 65536, NULL);

		if (!own || !outer)
			return -1;
		if (outer[0] == '\0' || outer[0] == '\n') {
			errno = ENOSPC;
			return -1;
		}
		if ((own[0] == '\0' || own[0] == '\n') && write_file_at(group, names[index], outer) < 0)
			return -1;
	}
	return 0;
}

/* A controller that cannot be switched on shows up later as a limit that is not applied. */
static void enable_v2_controllers(struct hierarchy *hierarchy, int group)
{
	static const char *const wanted[] = { "cpu", "cpuset", "memory", "pids", "io" };
	char text[64];

	for (size_t index = 0; index < sizeof(wanted) / sizeof(*wanted); index++) {
		snprintf(text, sizeof(text), ",%s,", wanted[index]);
		if (!strstr(hierarchy->controllers, text))
			continue;
		snprintf(text, sizeof(text), "+%s", wanted[index]);
		write_file_at(group, "cgroup.subtree_control", text);
	}
}

/* A folder whose parents are there and set up, as for all containers but a host's first. */
static int create_last(const struct hierarchy *hierarchy, const char *path, int is_cpuset)
{
	if (mkdirat(hierarchy->mount, path + 1, 0755) < 0 && errno != EEXIST)
		return -1;
	int group = openat(hierarchy->mount, path + 1, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (group < 0 || !is_cpuset)
		return group;
	CLEANUP_CLOSE int parent = openat(group, "..", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (parent >= 0 && seed_cpuset(parent, group) == 0)
		return group;
	close(group);
	return -1;
}

static int create_in(struct hierarchy *hierarchy, const char *path)
{
	char copy[512];
	char *save = NULL;
	int is_cpuset = !hierarchy->is_v2 && strstr(hierarchy->controllers, ",cpuset,");
	/* In v2 what is above has to pass its controllers on, and may have been left before it did. */
	int at = hierarchy->is_v2 ? -1 : create_last(hierarchy, path, is_cpuset);

	if (at >= 0)
		return at;
	at = openat(hierarchy->mount, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	snprintf(copy, sizeof(copy), "%s", path);
	for (char *part = strtok_r(copy, "/", &save); at >= 0 && part; part = strtok_r(NULL, "/", &save)) {
		CLEANUP_CLOSE int parent = at;

		if (hierarchy->is_v2)
			enable_v2_controllers(hierarchy, parent);
		if (mkdirat(parent, part, 0755) < 0 && errno != EEXIST)
			return -1;
		at = openat(parent, part, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (at >= 0 && is_cpuset && seed_cpuset(parent, at) < 0) {
			int code = errno;

			close(at);
			errno = code;
			return -1;
		}
	}
	return at;
}

int cgroup_create(struct cgroup *cgroup, struct err *err)
{
	if (strlen(cgroup->path) >= 512)
		return err_set(err, ENAMETOOLONG, "create cgroup", "the cgroup path is longer than 511 bytes");
	for (int index = 0; index < cgroup->count; index++) {
		struct hierarchy *hierarchy = &cgroup->hierarchies[index];

		if (hierarchy->group >= 0)
			continue;
		hierarchy->group = create_in(hierarchy, cgroup->path);
		if (hierarchy->group < 0)
			return err_sys(err, "create cgroup", "%s%s", hierarchy->mount_point, cgroup->path);
	}
	return 0;
}

int cgroup_v2_group(const struct cgroup *cgroup)
{
	for (int index = 0; index < cgroup->count; index++)
		if (cgroup->hierarchies[index].is_v2)
			return cgroup->hierarchies[index].group;
	return -1;
}

int cgroup_join(struct cgroup *cgroup, struct err *err)
{
	for (int index = 0; index < cgroup->count; index++) {
		struct hierarchy *hierarchy = &cgroup->hierarchies[index];

		if (hierarchy->group < 0)
			return err_set(err, ENOENT, "join cgroup", "%s%s does not exist", hierarchy->mount_point, cgroup->path);
		if (!hierarchy->is_v2 && write_file_at(hierarchy->group, "tasks", "0") < 0)
			return err_sys(err, "join cgroup", "%s%s", hierarchy->mount_point, cgroup->path);
	}
	return 0;
}

void cgroup_close(struct cgroup *cgroup)
{
	for (int index = 0; index < cgroup->count; index++) {
		close(cgroup->hierarchies[index].mount);
		if (cgroup->hierarchies[index].group >= 0)
			close(cgroup->hierarchies[index].group);
	}
	cgroup->count = 0;
}
