#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

/*
 * Nodes below /dev are made relative to the descriptor of our own fresh tmpfs: a /dev that the
 * image turned into a link can not lead them elsewhere. `name` gets the last component.
 */
static int parent_of(const char *path, int root, int dev, char *name)
{
	if (dev >= 0 && strncmp(path, "/dev/", 5) == 0)
		return root_parent(dev, path + 5, 1, name);
	return root_parent(root, path, 1, name);
}

static int create_node(const struct device_plan *device, int root, int dev, struct err *err)
{
	mode_t type = device->type == 'c' ? S_IFCHR : S_IFBLK;
	dev_t number = makedev(device->major, device->minor);
	char name[NAME_MAX + 1];
	struct stat info;
	CLEANUP_CLOSE int parent = parent_of(device->path, root, dev, name);

	if (parent < 0 || check_component(name) < 0)
		return err_sys(err, "create device", "%s", device->path);
	if (mknodat(parent, name, type | device->mode, number) < 0 && errno != EEXIST)
		return err_sys(err, "create device", "%s", device->path);
	CLEANUP_CLOSE int made = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (made < 0 || fstat(made, &info) < 0)
		return err_sys(err, "create device", "look at %s", device->path);
	if ((info.st_mode & S_IFMT) != type || info.st_rdev != number)
		return err_set(err, EEXIST, "create device", "%s exists and is something else", device->path);
	if ((device->uid || device->gid) && fchownat(made, "", device->uid, device->gid, AT_EMPTY_PATH) < 0)
		return err_sys(err, "create device", "set the owner of %s", device->path);
	return 0;
}

static int create_links(const struct plan *plan, int root, int dev, struct err *err)
{
	int result = 0;

	for (size_t index = 0; result == 0 && index < plan->link_count; index++) {
		const struct pair_plan *link = &plan->links[index];
		char name[NAME_MAX + 1];
		CLEANUP_CLOSE int parent = parent_of(link->key, root, dev, name);

		if (parent < 0 || (symlinkat(link->value, parent, name) < 0 && errno != EEXIST))
			result = err_sys(err, "create device link", "%s", link->key);
	}
	return result;
}

int devices_create(const struct plan *plan, int root, int dev, struct err *err)
{
	mode_t before = umask(0);
	int result = 0;

	for (size_t index = 0; result == 0 && index < plan->device_count; index++)
		result = create_node(&plan->devices[index], root, dev, err);
	umask(before);
	return result == 0 ? create_links(plan, root, dev, err) : result;
}

int nodes_make(const struct plan *plan, struct err *err)
{
	const struct id_map *ids = &plan->ids;
	int nodes = masks_make(plan->mount_label, err), result = nodes < 0 ? -1 : 0;
	mode_t before = umask(0);

	for (size_t index = 0; result == 0 && index < plan->device_count; index++) {
		const struct device_plan *device = &plan->devices[index];
		mode_t type = device->type == 'c' ? S_IFCHR : S_IFBLK;
		char name[24];

		snprintf(name, sizeof(name), "%zu", index);
		if (device->uid >= ids->size || device->gid >= ids->size)
			result = err_set(err, EINVAL, "create device", "the owner of %s is not one of the ids of the user namespace", device->path);
		else if (mknodat(nodes, name, type | device->mode, makedev(device->major, device->minor)) < 0 ||
			 fchownat(nodes, name, ids->uid + device->uid, ids->gid + device->gid, AT_SYMLINK_NOFOLLOW) < 0)
			result = err_sys(err, "create device", "%s", device->path);
	}
	umask(before);
	if (result == 0)
		return nodes;
	if (nodes >= 0)
		close(nodes);
	return -1;
}

static int bind_node(const struct device_plan *device, size_t index, int root, int dev, int nodes, struct err *err)
{
	char source[24], name[NAME_MAX + 1];
	struct stat info;
	CLEANUP_CLOSE int parent = parent_of(device->path, root, dev, name);

	if (parent < 0 || check_component(name) < 0)
		return err_sys(err, "create device", "%s", device->path);
	snprintf(source, sizeof(source), "%zu", index);
	CLEANUP_CLOSE int made = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (made < 0 && errno != EEXIST)
		return err_sys(err, "create device", "%s", device->path);
	CLEANUP_CLOSE int target = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || fstat(target, &info) < 0)
		return err_sys(err, "create device", "look at %s", device->path);
	/* The same node stays, as what the user mounts there: whatever else it is, is in the way. */
	if (made < 0 && info.st_rdev == makedev(device->major, device->minor) && (S_ISCHR(info.st_mode) ? 'c' : 'b') == device->type)
		return 0;
	if (made < 0)
		return err_set(err, EEXIST, "create device", "%s exists and is something else", device->path);
	CLEANUP_CLOSE int node = open_tree(nodes, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	return node < 0 || mount_attach(node, target) < 0 ? err_sys(err, "create device", "bind %s", device->path) : 0;
}

int devices_bind(const struct plan *plan, int root, int dev, int nodes, struct err *err)
{
	for (size_t index = 0; index < plan->device_count; index++)
		if (bind_node(&plan->devices[index], index, root, dev, nodes, err) < 0)
			return -1;
	return create_links(plan, root, dev, err);
}
