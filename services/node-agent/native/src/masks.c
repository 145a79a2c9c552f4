#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io.h"
#include "mounts.h"
#include "path.h"
#include "rootfs.h"

static int is_missing(int code)
{
	return code == ENOENT || code == ENOTDIR;
}

int paths_make_readonly(const struct plan *plan, int root, struct err *err)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };

	for (size_t index = 0; index < plan->readonly_paths.count; index++) {
		const char *path = plan->readonly_paths.items[index];
		CLEANUP_CLOSE int target = root_open(root, path, O_PATH, 0, RESOLVE_NO_SYMLINKS);

		if (target < 0 && is_missing(errno))
			continue;
		if (target < 0)
			return err_sys(err, "read-only path", "open %s", path);
		CLEANUP_CLOSE int clone = open_tree(target, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (clone < 0 || mount_setattr(clone, "", AT_EMPTY_PATH | AT_RECURSIVE, &readonly, sizeof(readonly)) < 0 ||
		    mount_attach(clone, target) < 0)
			return err_sys(err, "read-only path", "%s", path);
	}
	return 0;
}

/* A tmpfs of our own with an empty folder and a null device: what the masks show. */
int masks_make(const char *label, struct err *err)
{
	static const char *const options[][2] = { { "mode", "755" }, { "size", "65536" }, { "nr_inodes", "4096" } };
	int source = fs_mount("tmpfs", "tmpfs", options, 3, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, label, err);

	if (source < 0)
		return -1;
	mode_t before = umask(0);
	int made = mkdirat(source, "folder", 0555) | mknodat(source, "null", S_IFCHR | 0666, makedev(1, 3));
	umask(before);
	if (made == 0)
		return source;
	err_sys(err, "mask path", "make the mask");
	close(source);
	return -1;
}

/* Attached, because before Linux 6.15 nothing can be cloned from a detached mount. Goes away with the old root. */
static int open_source(int source, int *folder, int *null, struct err *err)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	struct stat info;

	if (fstatat(source, "null", &info, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "mask path", "look at the mask");
	if (!S_ISCHR(info.st_mode) || info.st_rdev != makedev(1, 3))
		return err_set(err, ENXIO, "mask path", "the mask is not the null device");
	if (mount_setattr(source, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0)
		return err_sys(err, "mask path", "make the mask read-only");
	*folder = openat(source, "folder", O_PATH | O_DIRECTORY | O_CLOEXEC);
	*null = openat(source, "null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return *folder < 0 || *null < 0 ? err_sys(err, "mask path", "open the mask") : 0;
}

int paths_mask(const struct plan *plan, int root, int scratch, int nodes, struct err *err)
{
	CLEANUP_CLOSE int folder = -1;
	CLEANUP_CLOSE int null = -1;

	if (plan->masks.count == 0)
		return 0;
	CLEANUP_CLOSE int made = nodes >= 0 ? -1 : masks_make(plan->mount_label, err);
	if (nodes < 0 && made < 0)
		return -1;
	if (made >= 0 && mount_attach(made, scratch) < 0)
		return err_sys(err, "mask path", "attach the mask");
	if (open_source(made >= 0 ? made : nodes, &folder, &null, err) < 0)
		return -1;
	for (size_t index = 0; index < plan->masks.count; index++) {
		const char *path = plan->masks.items[index];
		struct stat info;
		CLEANUP_CLOSE int target = root_open(root, path, O_PATH, 0, RESOLVE_NO_SYMLINKS);

		if (target < 0 && is_missing(errno))
			continue;
		if (target < 0 || fstat(target, &info) < 0)
			return err_sys(err, "mask path", "open %s", path);
		CLEANUP_CLOSE int clone = open_tree(S_ISDIR(info.st_mode) ? folder : null, "",
						    AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (clone < 0 || mount_attach(clone, target) < 0)
			return err_sys(err, "mask path", "%s", path);
	}
	return 0;
}

int sysctls_write(const struct plan *plan, int proc, struct err *err)
{
	CLEANUP_CLOSE int base = -1;

	if (plan->sysctl_count == 0)
		return 0;
	base = openat(proc, "sys", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (base < 0)
		return err_sys(err, "write sysctl", "open sys");
	for (size_t index = 0; index < plan->sysctl_count; index++) {
		const struct pair_plan *sysctl = &plan->sysctls[index];
		char path[256];

		if (strlen(sysctl->key) >= sizeof(path) || strchr(sysctl->key, '/') || strstr(sysctl->key, "..") ||
		    strchr(sysctl->value, '\n'))
			return err_set(err, EINVAL, "write sysctl", "\"%s\" is not one setting with a one-line value", sysctl->key);
		snprintf(path, sizeof(path), "%s", sysctl->key);
		for (char *at = path; *at; at++)
			if (*at == '.')
				*at = '/';
		CLEANUP_CLOSE int file = root_open(base, path, O_WRONLY, 0, RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
		if (file < 0 || write(file, sysctl->value, strlen(sysctl->value)) < 0)
			return err_sys(err, "write sysctl", "%s = %s", sysctl->key, sysctl->value);
	}
	return 0;
}
