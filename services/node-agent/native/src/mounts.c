#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "io.h"
#include "mount-cgroups.h"
#include "path.h"
#include "rootfs.h"
#include "userns.h"

static const char *const KIND_NAMES[] = { "", "bind", "proc", "sysfs", "tmpfs", "dev", "devpts", "mqueue", "cgroup", "image", "shm" };

int mount_fail(struct err *err, const struct mount_plan *mount, const char *what)
{
	char step[48];

	snprintf(step, sizeof(step), "mount %s", KIND_NAMES[mount->kind]);
	return err_sys(err, step, "%s on %s", what, mount->target);
}

int mount_has_source(const struct mount_plan *mount)
{
	return mount->kind == MOUNT_BIND || mount->kind == MOUNT_IMAGE || mount->kind == MOUNT_SHM;
}

static int clone_shm(const struct mount_plan *mount, struct err *err)
{
	struct statfs info;
	CLEANUP_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int shm = root < 0 ? -1 : root_open(root, "/dev/shm", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);

	if (shm < 0 || fstatfs(shm, &info) < 0)
		return mount_fail(err, mount, "find the other container's /dev/shm");
	if ((long)info.f_type != TMPFS_MAGIC)
		return err_set(err, EINVAL, "mount shm", "/dev/shm of the other container is no tmpfs");
	int tree = open_tree(shm, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return tree < 0 ? mount_fail(err, mount, "clone the other container's /dev/shm") : tree;
}

/* What can be cloned is what is in the own mount namespace: there and back again. The root is where it was, the folder is not. */
static int open_shm(const struct mount_plan *mount, int process, struct err *err)
{
	CLEANUP_CLOSE int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP_CLOSE int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (here < 0 || own < 0 || setns(process, CLONE_NEWNS) < 0)
		return mount_fail(err, mount, "join the other container's mount namespace");
	int tree = clone_shm(mount, err);
	if (setns(own, CLONE_NEWNS) == 0 && fchdir(here) == 0)
		return tree;
	if (tree >= 0)
		close(tree);
	return mount_fail(err, mount, "return to the own mount namespace");
}

/* The folder of a host or the layers of an image, as one whole; a clone only where nothing below it is asked for. */
static int open_whole(const struct mount_plan *mount, const char *label, int own, struct err *err)
{
	if (mount->kind == MOUNT_IMAGE)
		return overlay_mount(&mount->lowers, NULL, NULL, label, own, err);
	/* A path of the user's was resolved by who made the plan; what is Atoll's may be below links of the operator's. */
	if (mount->relabel != RELABEL_NOT && relabel_tree(mount->source, !mount->idmapped, mount->label, mount->relabel, err) < 0)
		return -1;
	unsigned deep = mount->reach == REACH_ONE ? 0u : AT_RECURSIVE;
	int fd = mount->subpath ? open(mount->source, O_PATH | O_DIRECTORY | O_CLOEXEC)
				: open_tree(AT_FDCWD, mount->source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);

	return fd < 0 ? err_sys(err, "mount bind", "source %s", mount->source) : fd;
}

static int open_bind(const struct mount_plan *mount, const char *label, int own, struct err *err)
{
	int whole = open_whole(mount, label, own, err);

	if (whole < 0 || !mount->subpath)
		return whole;
	/* What is below is the business of whoever wrote the volume: its links lead nowhere else. */
	CLEANUP_CLOSE int root = whole;
	CLEANUP_CLOSE int below = root_open(root, mount->subpath, O_PATH, 0, 0);
	int source = below < 0 ? -1 : open_tree(below, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	return source < 0 ? mount_fail(err, mount, mount->subpath) : source;
}

static int open_source(const struct mount_plan *mount, const char *label, const struct ids_shown *shown, struct err *err)
{
	int source = open_bind(mount, label, shown->own, err), ids = mount->idmapped ? shown->own : shown->host;

	if (source < 0 || mount->kind == MOUNT_IMAGE || ids < 0 || userns_idmap(source, ids) == 0)
		return source;
	err_sys(err, "mount bind", "the file system of %s cannot be shown with the ids of a user namespace", mount->source);
	close(source);
	return -1;
}

static int relabel_layers(const struct text_list *layers, const char *label, struct err *err)
{
	for (size_t index = 0; index < layers->count; index++)
		if (relabel_tree(layers->items[index], 0, label, RELABEL_ONCE, err) < 0)
			return -1;
	return 0;
}

/* Of the root and of images. The container's own folder has files from before where its host has not used SELinux until now. */
static int relabel_own(const struct plan *plan, struct err *err)
{
	if (plan->layer_label && relabel_layers(&plan->lowers, plan->layer_label, err) < 0)
		return -1;
	for (size_t index = 0; plan->layer_label && index < plan->mount_count; index++)
		if (relabel_layers(&plan->mounts[index].lowers, plan->layer_label, err) < 0)
			return -1;
	return plan->mount_label && plan->upper ? relabel_tree(plan->upper, 0, plan->mount_label, RELABEL_ONCE, err) : 0;
}

int *mounts_open_sources(const struct plan *plan, int ipc, const struct ids_shown *shown, struct err *err)
{
	int *sources;

	if (relabel_own(plan, err) < 0)
		return NULL;
	sources = malloc((plan->mount_count + 1) * sizeof(*sources));
	if (!sources) {
		err_set(err, ENOMEM, "mount bind", "out of memory");
		return NULL;
	}
	for (size_t index = 0; index < plan->mount_count; index++) {
		const struct mount_plan *mount = &plan->mounts[index];

		sources[index] = -1;
		if (!mount_has_source(mount) || (mount->kind == MOUNT_SHM && ipc < 0))
			continue;
		sources[index] = mount->kind == MOUNT_SHM ? open_shm(mount, ipc, err) : open_source(mount, plan->mount_label, shown, err);
		if (sources[index] < 0) {
			free(sources);
			return NULL;
		}
	}
	return sources;
}

int *mounts_open_for(const struct plan *plan, int ipc, int userns, struct err *err)
{
	struct mount_attr slave = { .propagation = MS_SLAVE };
	int *sources = mounts_open_sources(plan, ipc, &(struct ids_shown){ .own = userns, .host = -1 }, err);

	for (size_t index = 0; sources && index < plan->mount_count; index++) {
		const struct mount_plan *mount = &plan->mounts[index];

		if (mount->kind == MOUNT_MQUEUE && plan->namespaces[NS_IPC].mode == NS_HOST)
			sources[index] = fs_mount("mqueue", "mqueue", mount->options, mount->option_count, mount->attributes, NULL, err);
		else if (sources[index] < 0 || mount->kind == MOUNT_IMAGE)
			continue;
		else if (mount_setattr(sources[index], "", AT_EMPTY_PATH | AT_RECURSIVE, &slave, sizeof(slave)) < 0)
			sources[index] = mount_fail(err, mount, "cut it off from the host");
		if (sources[index] < 0) {
			free(sources);
			return NULL;
		}
	}
	return sources;
}

/* What Docker's runtimes allow to be put over single files of /proc (lxcfs and the like). */
static int is_allowed_in_proc(const char *target)
{
	static const char *const allowed[] = {
		"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps",
		"/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid",
	};

	for (size_t index = 0; index < sizeof(allowed) / sizeof(*allowed); index++)
		if (strcmp(target, allowed[index]) == 0)
			return 1;
	return 0;
}

/* A user's mount may not cover procfs: tools inside and our own later steps rely on it being real. */
static int check_not_proc(const struct mount_plan *mount, int target, struct err *err)
{
	struct statfs info;

	if (fstatfs(target, &info) < 0)
		return mount_fail(err, mount, "fstatfs");
	if ((long)info.f_type == PROC_SUPER_MAGIC && !is_allowed_in_proc(mount->target))
		return err_set(err, EPERM, "mount bind", "%s is inside /proc, which cannot be mounted over", mount->target);
	return 0;
}

int mount_bind(const struct mount_plan *mount, int root, int source, struct err *err)
{
	static const uint64_t propagations[] = { MS_PRIVATE, MS_PRIVATE, MS_SLAVE, MS_SLAVE, MS_SHARED, MS_SHARED };
	int deep = mount->propagation == PROP_RPRIVATE || mount->propagation == PROP_RSLAVE || mount->propagation == PROP_RSHARED;
	struct mount_attr attributes = { .attr_set = mount->attributes };
	struct mount_attr propagation = { .propagation = propagations[mount->propagation] };
	struct stat info;

	if (fstat(source, &info) < 0)
		return mount_fail(err, mount, "stat the source");
	CLEANUP_CLOSE int target = root_mount_target(root, mount->target, S_ISDIR(info.st_mode));
	if (target < 0)
		return mount_fail(err, mount, "open the target");
	if (check_not_proc(mount, target, err) < 0)
		return -1;
	if (mount_setattr(source, "", AT_EMPTY_PATH | (deep ? AT_RECURSIVE : 0u), &propagation, sizeof(propagation)) < 0)
		return mount_fail(err, mount, "set propagation");
	if (attributes.attr_set &&
	    mount_setattr(source, "", AT_EMPTY_PATH | (mount->reach == REACH_RECURSIVE ? AT_RECURSIVE : 0u), &attributes, sizeof(attributes)) < 0)
		return mount_fail(err, mount, "set flags");
	if (mount_attach(source, target) < 0)
		return mount_fail(err, mount, "attach");
	return 0;
}

static int apply_new(const struct plan *plan, const struct mount_plan *mount, int root, int premade, struct cgroup *cgroup, int *dev, int *devpts,
		     struct err *err)
{
	static const char *const types[] = { "", "", "proc", "sysfs", "tmpfs", "tmpfs", "devpts", "mqueue", "", "", "" };
	/* An image's link in place of /proc, /sys or /dev would lead our mounts elsewhere: refuse it. A tmpfs target is the user's own affair. */
	uint64_t links = mount->kind == MOUNT_TMPFS ? 0 : RESOLVE_NO_SYMLINKS;
	CLEANUP_CLOSE int made = root_mkdirs(root, mount->target, 0755);
	if (made < 0)
		return mount_fail(err, mount, "make the target");
	CLEANUP_CLOSE int target = root_open(root, mount->target, O_PATH | O_DIRECTORY, 0, links);
	if (target < 0)
		return mount_fail(err, mount, errno == ELOOP ? "the target is a symbolic link, refused" : "open the target");
	if (mount->kind == MOUNT_TMPFS && check_not_proc(mount, target, err) < 0)
		return -1;
	if (mount->kind == MOUNT_CGROUP)
		return mount_cgroups(mount, target, cgroup, plan->namespaces[NS_CGROUP].mode == NS_HOST, plan->mount_label, err);
	int fresh = mount->kind == MOUNT_TMPFS || mount->kind == MOUNT_DEV || mount->kind == MOUNT_DEVPTS;
	int tree = premade >= 0 ? premade : fs_mount(types[mount->kind], types[mount->kind], mount->options, mount->option_count, mount->attributes,
						     fresh ? plan->mount_label : NULL, err);
	if (tree < 0)
		return -1;
	/* That of an ipc namespace is there already, and takes no label as it is mounted. */
	int labelled = mount->kind == MOUNT_MQUEUE && plan->mount_label && plan->namespaces[NS_IPC].mode == NS_PRIVATE;
	if ((labelled && relabel_one(tree, plan->mount_label) < 0) || mount_attach(tree, target) < 0) {
		mount_fail(err, mount, "label or attach");
		close(tree);
		return -1;
	}
	if (mount->kind == MOUNT_DEV && *dev < 0)
		*dev = tree;
	else if (mount->kind == MOUNT_DEVPTS && *devpts < 0)
		*devpts = tree;
	else
		close(tree);
	return 0;
}

int mounts_apply(const struct plan *plan, int root, const int *sources, struct cgroup *cgroup, int *dev, int *devpts,
		 struct err *err)
{
	*dev = -1;
	*devpts = -1;
	for (size_t index = 0; index < plan->mount_count; index++) {
		const struct mount_plan *mount = &plan->mounts[index];
		int result = mount_has_source(mount) ? mount_bind(mount, root, sources[index], err)
						       : apply_new(plan, mount, root, sources[index], cgroup, dev, devpts, err);

		if (result < 0)
			return -1;
	}
	return 0;
}
