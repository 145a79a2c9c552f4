#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io.h"
#include "mounts.h"
#include "path.h"

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

int devices_create(const struct plan *plan, int root, int dev, struct err *err)
{
	mode_t before = umask(0);
	int result = 0;

	for (size_t index = 0; result == 0 && index < plan->device_count; index++)
		result = create_node(&plan->devices[index], root, dev, err);
	umask(before);
	for (size_t index = 0; result == 0 && index < plan->link_count; index++) {
		const struct pair_plan *link = &plan->links[index];
		char name[NAME_MAX + 1];
		CLEANUP_CLOSE int parent = parent_of(link->key, root, dev, name);

		if (parent < 0 || (symlinkat(link->value, parent, name) < 0 && errno != EEXIST))
			result = err_sys(err, "create device link", "%s", link->key);
	}
	return result;
}
