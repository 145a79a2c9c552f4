#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "idmapped-layers.h"
#include "io.h"
#include "userns.h"

int fs_fail(int context, struct err *err, const char *step, const char *what, const char *value)
{
	char log[200];
	int code = errno;
	ssize_t count = read(context, log, sizeof(log) - 1);

	if (count > 0) {
		log[count] = '\0';
		log[strcspn(log, "\n")] = '\0';
	} else {
		log[0] = '\0';
	}
	errno = code;
	return err_sys(err, step, "%s%s%s%s%s", what, value ? " " : "", value ? value : "", *log ? " " : "", log);
}

int fs_mount(const char *type, const char *source, const char *const (*options)[2], unsigned option_count, uint64_t attributes,
	     const char *label, struct err *err)
{
	char step[48];
	CLEANUP_CLOSE int context = fsopen(type, FSOPEN_CLOEXEC);

	snprintf(step, sizeof(step), "mount %s", type);
	if (context < 0)
		return err_sys(err, step, "fsopen");
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return fs_fail(context, err, step, "source", source);
	if (label && fsconfig(context, FSCONFIG_SET_STRING, "context", label, 0) < 0)
		return fs_fail(context, err, step, "context", label);
	for (unsigned index = 0; index < option_count; index++) {
		const char *value = options[index][1];
		int result = *value ? fsconfig(context, FSCONFIG_SET_STRING, options[index][0], value, 0)
				    : fsconfig(context, FSCONFIG_SET_FLAG, options[index][0], NULL, 0);

		if (result < 0)
			return fs_fail(context, err, step, options[index][0], value);
	}
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_fail(context, err, step, "create", NULL);
	int mount = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)attributes);
	if (mount < 0)
		return fs_fail(context, err, step, "fsmount", NULL);
	return mount;
}

/*
 * "lowerdir+" is of Linux 6.7. Before 6.5 overlayfs reads its options when it is mounted, and until then takes any name: also this
 * one without a value, which a kernel that knows it refuses.
 */
int overlay_has_lowerdir_plus(void)
{
	CLEANUP_CLOSE int context = fsopen("overlay", FSOPEN_CLOEXEC);

	return context >= 0 && fsconfig(context, FSCONFIG_SET_FLAG, "lowerdir+", NULL, 0) < 0 &&
	       fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", "/", 0) == 0;
}

/*
 * Without "lowerdir+" the layers are named by short /proc/self/fd paths, as the joined text must stay below a page (256 bytes in an
 * fsconfig string, so mount(2) is used).
 */
static int overlay_mount_joined(const struct text_list *lowers, const char *upper, const char *work, const char *label, struct err *err)
{
	int fds[PLAN_MAX_LOWERS];
	char options[4096];
	size_t opened = 0, at = (size_t)snprintf(options, sizeof(options), "lowerdir=");
	int result = -1;

	for (; opened < lowers->count; opened++) {
		fds[opened] = open(lowers->items[opened], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[opened] < 0) {
			err_sys(err, "mount overlay", "open layer %s", lowers->items[opened]);
			goto out;
		}
		at += (size_t)snprintf(options + at, sizeof(options) - at, "%s/proc/self/fd/%d", opened ? ":" : "", fds[opened]);
	}
	at += (size_t)snprintf(options + at, sizeof(options) - at, ",redirect_dir=off,metacopy=off");
	if (upper && (size_t)snprintf(options + at, sizeof(options) - at, ",upperdir=%s,workdir=%s", upper, work) >= sizeof(options) - at) {
		err_set(err, ENAMETOOLONG, "mount overlay", "the folders' names are too long for this kernel");
		goto out;
	}
	/* In quotes: it may have a comma. */
	at = strlen(options);
	if (label && (size_t)snprintf(options + at, sizeof(options) - at, ",context=\"%s\"", label) >= sizeof(options) - at) {
		err_set(err, ENAMETOOLONG, "mount overlay", "the label and the folders' names are too long for this kernel");
		goto out;
	}
	/* Any folder will do as a mount point: this function runs in a private mount namespace. */
	const char *point = upper ? work : lowers->items[0];
	if (mount("overlay", point, "overlay", 0, options) < 0) {
		err_sys(err, "mount overlay", "%zu layers", lowers->count);
		goto out;
	}
	result = open_tree(AT_FDCWD, point, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (result < 0)
		err_sys(err, "mount overlay", "open_tree");
	umount2(point, MNT_DETACH);
out:
	while (opened-- > 0)
		close(fds[opened]);
	return result;
}

/*
 * Layers by descriptor and of detached mounts are of Linux 6.13 and 6.15. Before, an overlay takes what is at paths, and in a mount
 * namespace of its own those can be covered.
 */
static int overlay_mount_covered(const struct text_list *lowers, const char *upper, const char *work, const char *label, int userns, struct err *err)
{
	CLEANUP_CLOSE int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	CLEANUP_CLOSE int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int result = -1;

	if (home < 0 || here < 0 || unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "mount overlay", "make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		err_sys(err, "mount overlay", "make the host's mounts slaves");
	else if (idmapped_in_place(lowers, upper, work, userns, err) == 0)
		result = overlay_mount_joined(lowers, upper, work, label, err);
	if (setns(home, CLONE_NEWNS) == 0 && fchdir(here) == 0)
		return result;
	err_sys(err, "mount overlay", "go back to the mount namespace");
	if (result >= 0)
		close(result);
	return -1;
}

/* Without an upper folder: a read-only view. Overlay itself wants two layers for that. */
static int view_single(const char *lower, int userns, struct err *err)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };

	if (userns >= 0) {
		readonly.attr_set |= MOUNT_ATTR_IDMAP;
		readonly.userns_fd = (uint64_t)userns;
	}
	int view = open_tree(AT_FDCWD, lower, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (view >= 0 && mount_setattr(view, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) == 0)
		return view;
	err_sys(err, "mount overlay", "view %s", lower);
	if (view >= 0)
		close(view);
	return -1;
}

static int set_layers(int context, const struct text_list *lowers, const char *upper, const char *work, struct err *err)
{
	for (size_t index = 0; index < lowers->count; index++)
		if (fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", lowers->items[index], 0) < 0)
			return fs_fail(context, err, "mount overlay", "layer", lowers->items[index]);
	if (upper && fsconfig(context, FSCONFIG_SET_STRING, "upperdir", upper, 0) < 0)
		return fs_fail(context, err, "mount overlay", "upper", upper);
	if (upper && fsconfig(context, FSCONFIG_SET_STRING, "workdir", work, 0) < 0)
		return fs_fail(context, err, "mount overlay", "work", work);
	return 0;
}

/* The overlay of a context that has its layers. */
static int overlay_create(int context, const char *label, struct err *err)
{
	/* What layer-diff reads must be plain: no redirected folders, no files of metadata only. */
	static const char *const options[][2] = { { "redirect_dir", "off" }, { "metacopy", "off" }, { "source", "overlay" } };

	for (size_t index = 0; index < sizeof(options) / sizeof(*options); index++)
		if (fsconfig(context, FSCONFIG_SET_STRING, options[index][0], options[index][1], 0) < 0)
			return fs_fail(context, err, "mount overlay", options[index][0], options[index][1]);
	if (label && fsconfig(context, FSCONFIG_SET_STRING, "context", label, 0) < 0)
		return fs_fail(context, err, "mount overlay", "context", label);
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fs_fail(context, err, "mount overlay", "create", NULL);
	int mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
	return mount < 0 ? fs_fail(context, err, "mount overlay", "fsmount", NULL) : mount;
}

int overlay_mount(const struct text_list *lowers, const char *upper, const char *work, const char *label, int userns, struct err *err)
{
	if (!upper && lowers->count == 1)
		return view_single(lowers->items[0], userns, err);
	CLEANUP_CLOSE int context = fsopen("overlay", FSOPEN_CLOEXEC);

	if (context < 0)
		return err_sys(err, "mount overlay", "fsopen");
	if (userns >= 0) {
		struct clones clones = { .count = 0 };
		int mount = idmapped_layers(context, lowers, upper, work, userns, &clones, err) < 0 ? -1 : overlay_create(context, label, err);

		clones_close(&clones);
		if (mount >= 0 || (err->code != EINVAL && err->code != EOPNOTSUPP))
			return mount;
		err->code = 0;
		return overlay_mount_covered(lowers, upper, work, label, userns, err);
	}
	if (!overlay_has_lowerdir_plus())
		return overlay_mount_joined(lowers, upper, work, label, err);
	return set_layers(context, lowers, upper, work, err) < 0 ? -1 : overlay_create(context, label, err);
}

int rootfs_mount(const struct plan *plan, int userns, struct err *err)
{
	if (!plan->root_directory)
		return overlay_mount(&plan->lowers, plan->upper, plan->work, plan->mount_label, userns, err);
	int root = open_tree(AT_FDCWD, plan->root_directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (root >= 0 && (userns < 0 || userns_idmap(root, userns) == 0))
		return root;
	err_sys(err, "mount root", "%s", plan->root_directory);
	if (root >= 0)
		close(root);
	return -1;
}

int rootfs_check_writable(const struct plan *plan, int root, struct err *err)
{
	char path[PATH_MAX];
	struct statvfs info;

	if (!plan->upper || (fstatvfs(root, &info) == 0 && !(info.f_flag & ST_RDONLY)))
		return 0;
	/* What the overlay has tried, for the reason. */
	snprintf(path, sizeof(path), "%s/check", plan->work);
	if (mkdir(path, 0700) == 0) {
		rmdir(path);
		errno = EROFS;
	}
	return err_sys(err, "mount overlay", "it is read-only, for it could make no folder in %s", plan->work);
}

int mount_attach(int mount, int target)
{
	return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int rootfs_pivot(int root, struct err *err)
{
	/* pivot_root(".", ".") stacks the old root onto the new one, where it is dropped at once. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(err, "pivot root", "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(err, "pivot root", "detach the old root");
	if (chdir("/") < 0)
		return err_sys(err, "pivot root", "chdir");
	return 0;
}
