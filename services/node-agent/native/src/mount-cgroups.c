#include "mount-cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "mounts.h"
#include "rootfs.h"

/* One hierarchy, not yet attached: mounted anew, or the group bound. The host's root is still there for it to be found in. */
static int cgroup_tree(const struct mount_plan *mount, const struct hierarchy *hierarchy, const char *const (*pairs)[2], unsigned count,
		       const char *group, struct err *err)
{
	struct mount_attr attributes = { .attr_set = mount->attributes, .propagation = MS_PRIVATE };
	char path[1024];

	if (!group)
		return fs_mount(hierarchy->is_v2 ? "cgroup2" : "cgroup", "cgroup", pairs, count, mount->attributes, NULL, err);
	snprintf(path, sizeof(path), "%s%s", hierarchy->mount_point, group);
	int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree >= 0 && mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) == 0)
		return tree;
	mount_fail(err, mount, path);
	if (tree >= 0)
		close(tree);
	return -1;
}

int mount_cgroups(const struct mount_plan *mount, int target, struct cgroup *cgroup, int bound, const char *label, struct err *err)
{
	static const char *const options[][2] = { { "mode", "755" }, { "size", "65536" } };
	int is_v2_only = strcmp(cgroup_mode(cgroup), "v2") == 0;

	if (is_v2_only) {
		CLEANUP_CLOSE int tree = cgroup_tree(mount, &cgroup->hierarchies[0], NULL, 0, bound ? "" : NULL, err);

		return tree < 0 ? -1 : mount_attach(tree, target) < 0 ? mount_fail(err, mount, "attach") : 0;
	}
	CLEANUP_CLOSE int base = fs_mount("tmpfs", "tmpfs", options, 2, mount->attributes & ~(uint64_t)MOUNT_ATTR_RDONLY, label, err);
	if (base < 0)
		return -1;
	if (mount_attach(base, target) < 0)
		return mount_fail(err, mount, "attach");
	for (int index = 0; index < cgroup->count; index++) {
		struct hierarchy *hierarchy = &cgroup->hierarchies[index];
		const char *leaf = strrchr(hierarchy->mount_point, '/');
		const char *pairs[8][2];
		char list[96], *save = NULL;
		unsigned count = 0;

		if (!leaf || mkdirat(base, leaf + 1, 0755) < 0)
			continue;
		snprintf(list, sizeof(list), "%s", hierarchy->controllers);
		if (!hierarchy->is_v2) {
			if (strstr(list, ",name=")) {
				pairs[count][0] = "none";
				pairs[count++][1] = "";
			}
			for (char *item = strtok_r(list, ",", &save); item && count < 8; item = strtok_r(NULL, ",", &save)) {
				int named = strncmp(item, "name=", 5) == 0;

				pairs[count][0] = named ? "name" : item;
				pairs[count++][1] = named ? item + 5 : "";
			}
		}
		CLEANUP_CLOSE int tree = cgroup_tree(mount, hierarchy, (const char *const(*)[2])pairs, count, bound ? cgroup->path : NULL, err);
		CLEANUP_CLOSE int at = openat(base, leaf + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (tree < 0)
			return -1;
		if (at < 0 || mount_attach(tree, at) < 0)
			return mount_fail(err, mount, leaf + 1);
	}
	struct mount_attr readonly = { .attr_set = mount->attributes };
	if (mount_setattr(base, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0)
		return mount_fail(err, mount, "make read-only");
	return 0;
}
