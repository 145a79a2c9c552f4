#include "idmapped-layers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io.h"
#include "rootfs.h"
#include "userns.h"

static const char STEP[] = "mount overlay";

/*
 * The folder that all layers are in, as one idmapped clone: the kernel waits for its processors when a clone goes, so there is to be
 * one and not one a layer.
 */
struct common {
	char path[PATH_MAX];
	size_t length;
	int mount;
};

static int clone_idmapped(const char *path, int userns, struct clones *clones, struct err *err)
{
	int mount = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (mount >= 0)
		clones->mounts[clones->count++] = mount;
	return mount >= 0 && userns_idmap(mount, userns) == 0 ? mount : err_sys(err, STEP, "show the ids of %s in a user namespace", path);
}

void clones_close(const struct clones *clones)
{
	for (size_t index = 0; index < clones->count; index++)
		close(clones->mounts[index]);
}

/* Shortens the common path until it is a folder above `path`. */
static void keep_common(struct common *common, const char *path)
{
	size_t same = 0;

	while (same < common->length && common->path[same] == path[same])
		same++;
	if (same < common->length || (path[same] != '/' && path[same] != '\0'))
		while (same > 0 && common->path[same] != '/')
			same--;
	common->length = same;
}

/* Below the clone only when it is the same folder there: other mounts and links on the way are not in a clone. */
static int open_below(const struct common *common, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	const char *rest = path + common->length + (path[common->length] == '/');
	struct stat below, there;
	int fd = (int)syscall(SYS_openat2, common->mount, *rest ? rest : ".", &how, sizeof(how));

	if (fd >= 0 && fstat(fd, &below) == 0 && stat(path, &there) == 0 && below.st_dev == there.st_dev && below.st_ino == there.st_ino)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int give(int context, const char *key, int folder, const char *path, struct err *err)
{
	return fsconfig(context, FSCONFIG_SET_FD, key, NULL, folder) < 0 ? fs_fail(context, err, STEP, key, path) : 0;
}

static int give_lower(int context, const struct common *common, const char *path, int userns, struct clones *clones,
		      struct err *err)
{
	CLEANUP_CLOSE int folder = open_below(common, path);

	if (folder >= 0)
		return give(context, "lowerdir+", folder, path, err);
	int mount = clone_idmapped(path, userns, clones, err);
	CLEANUP_CLOSE int own = mount < 0 ? -1 : openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return mount < 0 ? -1 : own < 0 ? err_sys(err, STEP, "layer %s", path) : give(context, "lowerdir+", own, path, err);
}

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Both have to be in one mount. */
static int give_upper(int context, const struct common *common, const char *upper, const char *work, int userns,
		      struct clones *clones, struct err *err)
{
	size_t length = (size_t)(base_name(upper) - upper);
	char parent[PATH_MAX];

	if (length >= sizeof(parent) || strncmp(upper, work, length) != 0 || strchr(work + length, '/'))
		return err_set(err, EINVAL, STEP, "%s and %s are not in one folder", upper, work);
	snprintf(parent, sizeof(parent), "%.*s", length > 1 ? (int)length - 1 : 1, upper);
	CLEANUP_CLOSE int below = open_below(common, parent);
	int mount = below >= 0 ? -1 : clone_idmapped(parent, userns, clones, err);
	if (below < 0 && mount < 0)
		return -1;
	int base = below >= 0 ? below : mount;
	CLEANUP_CLOSE int upper_folder = openat(base, base_name(upper), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP_CLOSE int work_folder = openat(base, base_name(work), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper_folder < 0 || work_folder < 0)
		return err_sys(err, STEP, "open %s and %s", upper, work);
	return give(context, "upperdir", upper_folder, upper, err) < 0 ? -1 : give(context, "workdir", work_folder, work, err);
}

static int check_paths(const struct text_list *lowers, const char *upper, const char *work, struct err *err)
{
	const char *ends[] = { upper, work };

	for (size_t index = 0; index < lowers->count + 2; index++) {
		const char *path = index < lowers->count ? lowers->items[index] : ends[index - lowers->count];

		if (path && (path[0] != '/' || strlen(path) >= PATH_MAX))
			return err_set(err, EINVAL, STEP, "layer %s is not an absolute path", path);
	}
	return 0;
}

/* The folder above all. The clone of it is among the clones. */
static int clone_common(const struct text_list *lowers, const char *upper, const char *work, int userns, struct common *common,
			struct clones *clones, struct err *err)
{
	if (check_paths(lowers, upper, work, err) < 0)
		return -1;
	common->length = (size_t)snprintf(common->path, sizeof(common->path), "%s", lowers->items[0]);
	for (size_t index = 1; index < lowers->count; index++)
		keep_common(common, lowers->items[index]);
	if (upper)
		keep_common(common, upper);
	common->path[common->length] = '\0';
	common->mount = clone_idmapped(common->length ? common->path : "/", userns, clones, err);
	return common->mount < 0 ? -1 : 0;
}

int idmapped_layers(int context, const struct text_list *lowers, const char *upper, const char *work, int userns,
		    struct clones *clones, struct err *err)
{
	struct common common = { .mount = -1 };

	if (clone_common(lowers, upper, work, userns, &common, clones, err) < 0)
		return -1;
	for (size_t index = 0; index < lowers->count; index++)
		if (give_lower(context, &common, lowers->items[index], userns, clones, err) < 0)
			return -1;
	return upper ? give_upper(context, &common, upper, work, userns, clones, err) : 0;
}

int idmapped_in_place(const struct text_list *lowers, const char *upper, const char *work, int userns, struct err *err)
{
	struct common common = { .mount = -1 };
	struct clones clones = { .count = 0 };
	const char *ends[] = { upper, work };

	if (clone_common(lowers, upper, work, userns, &common, &clones, err) < 0)
		return clones_close(&clones), -1;
	for (size_t index = 0; index < lowers->count + 2; index++) {
		const char *path = index < lowers->count ? lowers->items[index] : ends[index - lowers->count];
		int below = path ? open_below(&common, path) : -1;

		if (path && below < 0) {
			clones_close(&clones);
			return err_set(err, EXDEV, STEP, "%s is not on the file system of %s, which this kernel needs for user namespaces", path,
				       common.path);
		}
		if (below >= 0)
			close(below);
	}
	int result = move_mount(common.mount, "", AT_FDCWD, common.length ? common.path : "/", MOVE_MOUNT_F_EMPTY_PATH);
	if (result < 0)
		err_sys(err, STEP, "show the ids of %s in a user namespace", common.path);
	clones_close(&clones);
	return result;
}
